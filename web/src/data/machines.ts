// What the devices of nodes add up to: busy + free + lost = all, and what runs on them.
import type { Device, MachineNode, Workload } from "./types";
import { count, gpus } from "./words";

export type Capacity = { busy: number; free: number; lost: number; all: number };
export type Held = { id: string; name: string; gpus: number };

export const isLost = (n: MachineNode): boolean => n.status === "NotReady";
export const sick = (n: MachineNode): Device[] => n.gpus.filter((d) => !d.healthy);
export const needsPerson = (n: MachineNode): boolean => isLost(n) || sick(n).length > 0;

export function capacity(nodes: MachineNode[]): Capacity {
  let [busy, free, lost] = [0, 0, 0];
  for (const n of nodes)
    for (const d of n.gpus) {
      if (isLost(n) || !d.healthy) lost += 1000;
      else {
        busy += d.used_milli;
        free += 1000 - d.used_milli;
      }
    }
  return { busy: busy / 1000, free: free / 1000, lost: lost / 1000, all: (busy + free + lost) / 1000 };
}

/** What holds devices of the node, the largest first; holders the reader may not see are one. */
export function heldOn(n: MachineNode): Held[] {
  const found = new Map<string, Held>();
  for (const d of n.gpus)
    for (const h of d.holders) {
      const key = h.workload || h.workload_name;
      const before = found.get(key)?.gpus ?? 0;
      found.set(key, { id: h.workload, name: h.workload_name || "another project", gpus: before + h.milli / 1000 });
    }
  return [...found.values()].sort((a, b) => b.gpus - a.gpus || a.name.localeCompare(b.name));
}

/** Work that runs there without a GPU, by node. */
export function withoutGpus(workloads: Workload[]): Map<string, Held[]> {
  const found = new Map<string, Held[]>();
  for (const w of workloads)
    if (w.runningPods > 0 && !w.requestedGpus && !w.requestedGpuMemoryMib)
      for (const name of w.nodes) found.set(name, [...(found.get(name) ?? []), { id: w.id, name: w.name, gpus: 0 }]);
  return found;
}

/** What is wrong with a node, as a sentence and what follows from it; undefined where nothing is. */
export function fault(n: MachineNode): { what: string; then: string } | undefined {
  const reason = n.conditions.find((c) => c.type === "Ready")?.reason;
  if (isLost(n)) return { what: `Not ready${reason ? `: ${reason}` : ""}.`, then: n.gpus.length ? `${count(n.gpus.length, "GPU is", "GPUs are")} lost.` : "" };
  const bad = sick(n);
  if (!bad.length) return undefined;
  const left = n.gpus.length - bad.length;
  const what = bad.length === 1 ? `GPU ${bad[0]!.index} is sick.` : `GPUs ${bad.map((d) => d.index).join(", ")} are sick.`;
  return { what, then: `${bad.length === 1 ? "It takes" : "They take"} no new work${left ? `, the other ${gpus(left)} go on` : ""}.` };
}
