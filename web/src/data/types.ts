// What the API answers, only the fields the pages read. Amounts: GPUs in devices unless a name says milli; times RFC 3339 UTC.
export type Reason = { code: string; message: string; details: Record<string, unknown> };

export type Workload = {
  id: string;
  type: string;
  name: string;
  clusterId: string;
  projectId: string;
  projectName: string;
  departmentName: string;
  phase: string;
  phaseMessage: string;
  phaseUpdatedAt: string;
  priorityClassName: string;
  preemptible: boolean;
  submittedBy: string;
  runningPods: number;
  requestedPods: { number: number };
  images: string[];
  command: string;
  createdAt: string;
  startedAt: string | null;
  completedAt: string | null;
  reasons: Reason[];
  nodes: string[];
  requestedGpus: number;
  requestedGpuMemoryMib: number;
  allocatedGpus: number;
  borrowedGpus: number;
  place: number;
  waiting: number;
  evictions: number;
  nextTryAt: string | null;
  exitCode: number | null;
  suspended: boolean;
  simulated: boolean;
  currentNodePools: string[];
  actionsSupport: { delete: boolean; suspend: boolean };
};

export type WorkloadDetail = Workload & {
  spec: Record<string, unknown> | null;
  history: { time: string; type: string; message: string }[];
};

export type Pod = {
  id: string;
  name: string;
  nodeName: string | null;
  k8sPhase: string;
  devices: number[];
  enforcement: string;
  enforcementReason: string;
  exitCode: number | null;
  message: string;
  startedAt: string | null;
};

export type Holder = { workload: string; workload_name: string; project: string; pod: string; milli: number };
export type Device = {
  index: number;
  uuid: string;
  model: string;
  memory_mib: number;
  healthy: boolean;
  used_milli: number;
  holders: Holder[];
};

export type MachineNode = {
  id: string;
  name: string;
  status: string;
  nodePool: string;
  clusterUuid: string;
  gpuInfo: { gpuType: string; gpuCount: number } | null;
  simulated: boolean;
  conditions: { type: string; status: string; reason: string }[];
  gpus: Device[];
  cpuMilli: number;
  cpuUsedMilli: number;
  memoryBytes: number;
  memoryUsedBytes: number;
  runtime: string;
  updatedAt: string;
};

export type Triple = [number, number, number];
export type Queue = {
  cluster_id: string;
  name: string;
  kind: "project" | "department";
  parent: string;
  pool: string;
  deserved: Triple;
  limit: Triple;
  fair_share: Triple;
  allocated: Triple;
  allocated_non_preemptible: Triple;
  requested: Triple;
  simulated?: boolean;
};

export type Fix = { text: string; victims: string[] };
export type Explanation = {
  result: string;
  place: number;
  waiting: number;
  reasons: Reason[];
  fixes: Fix[];
  victims: string[];
};

export type Status = {
  version: string;
  user: string;
  revision: number;
  clusters: { id: string; name: string; state: string; kubernetes: string; nodes: number; gpus: number; simulated: boolean }[];
};

export type ClusterFinding = {
  code: string;
  title: string;
  verdict: string;
  counts: string;
  seen: string;
  remedy: string;
  accepted: string;
  nodes: string[];
  since: string | null;
};

export type ClusterStanding = {
  id: string;
  name: string;
  state: string;
  reasons: string[];
  message: string;
  since: string | null;
  kubernetesVersion: string;
  agentVersion: string;
  lastLiveness: string | null;
  conditions: { type: string; status: string; reason: string; message: string; lastTransitionTime: string | null }[];
  findings: ClusterFinding[];
  checkedAt: string | null;
  news: string[];
  newsSince: string | null;
};

export type FindingPage = {
  code: string;
  title: string;
  row: string;
  text: string;
  expected: string;
  rules: string;
  disables: string[];
  causes: Record<string, string>;
};
