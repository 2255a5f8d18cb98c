// Names of several clusters: projects, departments, pools and nodes are CLUSTER/NAME then, as commands take them; of one, just names.
import type { MachineNode, Queue, Workload } from "./types";

export type ClusterNames = ReadonlyMap<string, string>;

const full = (names: ClusterNames, cluster: string, name: string): string => (name && names.size > 1 ? `${names.get(cluster) ?? cluster}/${name}` : name);

export function workloadOf(names: ClusterNames, w: Workload): Workload {
  if (names.size < 2) return w;
  const of = (name: string) => full(names, w.clusterId, name);
  return { ...w, projectName: of(w.projectName), departmentName: of(w.departmentName), nodes: w.nodes.map(of), currentNodePools: [of(w.currentNodePools[0] ?? "default")] };
}

export function nodeOf(names: ClusterNames, n: MachineNode): MachineNode {
  const of = (name: string) => full(names, n.clusterUuid, name);
  return names.size < 2 ? n : { ...n, name: of(n.name), nodePool: of(n.nodePool) };
}

export function queueOf(names: ClusterNames, q: Queue): Queue {
  const of = (name: string) => full(names, q.cluster_id, name);
  return names.size < 2 ? q : { ...q, name: of(q.name), parent: of(q.parent), pool: of(q.pool) };
}
