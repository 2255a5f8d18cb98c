// Rows live in plain Maps outside React. One event stream changes them; readers hear of it at most ten times a second.
import { useSyncExternalStore } from "react";
import { Problem, get } from "./api";
import { nodeOf, queueOf, workloadOf, type ClusterNames } from "./clusters";
import type { MachineNode, Queue, Workload } from "./types";

type Rows = { workloads: Map<string, Workload>; nodes: Map<string, MachineNode>; queues: Map<string, Queue> };
type Change = { topic: string; key: string; row: unknown };
export type Snapshot = {
  workloads: Workload[];
  nodes: MachineNode[];
  queues: Queue[];
  podsRevision: number;
  clustersRevision: number;
  state: "loading" | "live" | "offline" | "denied";
  since: number;
  heard: number;
  problem: string;
};

const rows: Rows = { workloads: new Map(), nodes: new Map(), queues: new Map() };
const PAGE = 10_000;
// Rows that went while pages were read move the later ones forward: each page begins this much earlier than the one before it ended.
const OVERLAP = 200;
let snapshot: Snapshot = { workloads: [], nodes: [], queues: [], podsRevision: 0, clustersRevision: 0, state: "loading", since: Date.now(), heard: 0, problem: "" };
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setTimeout> | undefined;
let source: EventSource | undefined;
let waiting: [Change, boolean][] | undefined;
let again = false;
let retry: ReturnType<typeof setTimeout> | undefined;
let problem = "";
let pods = 0;
let clusters = 0;
let names: ClusterNames = new Map();
let relist = (): void => undefined;

export function useLive(): Snapshot {
  return useSyncExternalStore(subscribe, () => snapshot);
}

// The stream is opened first and what it tells is kept until the lists are here, so that nothing falls between the two.
export function start(): void {
  stop();
  [waiting, again] = [undefined, false];
  const opened = (source = new EventSource("/api/fairlead/v1/watch?topics=workloads,pods,nodes,queues,clusters"));
  relist = () => void list(opened).catch((error) => lost(opened, error));
  opened.addEventListener("bookmark", () => relist());
  opened.addEventListener("reset", () => relist());
  opened.addEventListener("upsert", (e) => hear(JSON.parse(e.data), true));
  opened.addEventListener("delete", (e) => hear(JSON.parse(e.data), false));
  opened.onerror = () => void get("/api/fairlead/v1/queues").then(() => lost(opened), (error) => lost(opened, error));
}

export function stop(): void {
  clearTimeout(retry);
  source?.close();
  source = undefined;
}

async function list(opened: EventSource): Promise<void> {
  if (waiting) {
    again = true;
    return;
  }
  waiting = [];
  do {
    again = false;
    const [found, workloads, nodes, queues] = await Promise.all([
      get<{ uuid: string; name: string }[]>("/api/v1/clusters"),
      all<Workload>("/api/v1/workloads", "workloads"),
      all<MachineNode>("/api/v1/nodes", "nodes"),
      get<{ queues: Queue[] }>("/api/fairlead/v1/queues"),
    ]);
    if (opened !== source) return;
    names = new Map(found.map((c) => [c.uuid, c.name]));
    rows.workloads = new Map(workloads.map((w) => [w.id, workloadOf(names, w)]));
    rows.nodes = new Map(nodes.map((n) => [`${n.clusterUuid}/${n.name}`, nodeOf(names, n)]));
    rows.queues = new Map(queues.queues.map((q) => [queueKey(q), queueOf(names, q)]));
  } while (again);
  const heard = waiting;
  waiting = undefined;
  heard.forEach(([change, isThere]) => take(change, isThere));
  problem = "";
  publish("live");
}

async function all<T>(path: string, name: string): Promise<T[]> {
  const found: T[] = [];
  let offset: number | null = 0;
  while (offset !== null) {
    const page: Record<string, unknown> = await get(`${path}?limit=${PAGE}&offset=${offset}`);
    found.push(...(page[name] as T[]));
    offset = typeof page.next === "number" ? page.next - OVERLAP : null;
  }
  return found;
}

// Signed out: the page asks to sign in. Not allowed: what was shown is taken away, and asked for again now and then.
function lost(opened: EventSource, error?: unknown): void {
  if (opened !== source) return;
  stop();
  if (error instanceof Problem && error.status === 401) location.reload();
  const denied = error instanceof Problem && error.status === 403;
  if (denied) Object.values(rows).forEach((table) => table.clear());
  problem = denied ? `${error.message} ${error.details}` : "";
  publish(denied ? "denied" : "offline");
  retry = setTimeout(start, 2000);
}

function hear(change: Change, isThere: boolean): void {
  if (waiting) waiting.push([change, isThere]);
  else take(change, isThere);
}

function take(event: Change, isThere: boolean): void {
  if (event.topic === "pods") pods += 1;
  if (event.topic === "clusters") {
    clusters += 1;
    if (isThere && !names.has(event.key)) relist();
  }
  if (!isThere) rows[event.topic as keyof Rows]?.delete(event.key);
  else if (event.topic === "workloads") rows.workloads.set(event.key, workloadOf(names, event.row as Workload));
  else if (event.topic === "nodes") rows.nodes.set(event.key, nodeOf(names, event.row as MachineNode));
  else if (event.topic === "queues") rows.queues.set(event.key, queueOf(names, event.row as Queue));
  publish("live");
}

function queueKey(q: Queue): string {
  return `${q.cluster_id}/${q.kind}/${q.pool}/${q.name}`;
}

function publish(state: Snapshot["state"]): void {
  const changed = state !== snapshot.state;
  if (changed) apply(state);
  else timer ??= setTimeout(() => apply(state), 100);
}

function apply(state: Snapshot["state"]): void {
  clearTimeout(timer);
  timer = undefined;
  snapshot = {
    workloads: [...rows.workloads.values()],
    nodes: [...rows.nodes.values()].sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true })),
    queues: [...rows.queues.values()],
    podsRevision: pods,
    clustersRevision: clusters,
    state,
    since: state === snapshot.state ? snapshot.since : Date.now(),
    heard: state !== "live" ? snapshot.heard : Date.now(),
    problem,
  };
  listeners.forEach((l) => l());
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
