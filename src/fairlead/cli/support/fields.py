"""Which fields of objects go into a bundle: one table, kind by kind. What stands in no line stays where it is: environment values,
commands, volumes, secrets.

A line is `path sort`. In a path `[]` is an entry of a list and `<...>` a free key. Sorts that name something are hidden with `--anonymise`:
node, namespace, project, department, queue, workload, pod, user, image, host; `word`, `number`, `flag`, `time`, `text` are not names, and
`text` is what somebody wrote freely.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from fairlead.objects.fields import FIELDS
from fairlead.preflight.keys import Branch, Key, tree_of

_META: Final = """
apiVersion word
kind word
metadata.uid word
metadata.creationTimestamp time
metadata.deletionTimestamp time
metadata.generation number
metadata.labels.<key> text
metadata.annotations.<key> text
metadata.finalizers[] word
metadata.ownerReferences[].kind word
metadata.ownerReferences[].name text
metadata.ownerReferences[].uid word
metadata.ownerReferences[].controller flag
"""
_CONDITIONS: Final = """
status.conditions[].type word
status.conditions[].status word
status.conditions[].reason word
status.conditions[].message text
status.conditions[].lastTransitionTime time
"""
_WORKLOAD: Final = """
metadata.name workload
metadata.namespace namespace
spec.image image
spec.gpuDevices number
spec.gpuMilli number
spec.gpuMemoryMib number
spec.cpuMilli number
spec.memoryBytes number
spec.workers number
spec.minWorkers number
spec.hasMaster flag
spec.framework word
spec.priority word
spec.preemptible flag
spec.suspended flag
spec.backoffLimit number
spec.completions number
spec.parallelism number
spec.maxRuntimeSeconds number
spec.nodePools[] word
spec.topology word
spec.topologyRequiredLevel word
spec.requestedBy user
spec.workloadId word
status.phase word
status.phaseMessage text
status.runningPods number
status.requestedPods number
status.succeededPods number
status.failures number
status.evictions number
status.nodePool word
status.nodes[] node
status.allocatedGpuMilli number
status.nextTryAt time
status.startedAt time
status.completedAt time
"""
_CONTAINER: Final = """
name word
image image
imagePullPolicy word
restartPolicy word
resources.requests.<resource> amount
resources.limits.<resource> amount
"""
_STATE: Final = """
name word
ready flag
restartCount number
started flag
state.waiting.reason word
state.waiting.message text
state.running.startedAt time
state.terminated.reason word
state.terminated.message text
state.terminated.exitCode number
state.terminated.startedAt time
state.terminated.finishedAt time
lastState.terminated.reason word
lastState.terminated.message text
lastState.terminated.exitCode number
lastState.terminated.finishedAt time
"""


def _below(prefix: str, table: str) -> str:
    return "".join(f"{prefix}{line}\n" for line in table.strip().splitlines())


_SHARE: Final = "".join(
    _below(f"spec.resources[].{name}.", "deserved number\nlimit number\noverQuotaWeight number")
    for name in ("gpu", "cpu", "memory")
)
_QUOTAS: Final = "".join(
    _below(f"spec.resources.{name}.", "quota number\nlimit number\noverQuotaWeight number")
    for name in ("gpu", "cpu", "memory")
)
_UNIT: Final = f"""
spec.department department
spec.displayName text
spec.namespace namespace
spec.priority number
spec.resources[].nodePool word
{_SHARE}
spec.defaultNodePools[] word
spec.preemptMinRuntime word
spec.reclaimMinRuntime word
spec.maxRuntimeSeconds number
spec.maxIdleGpuSeconds number
status.phase word
status.message text
status.namespace namespace
status.projects[] project
status.allocatedGpuMilli number
status.requestedGpuMilli number
"""
_ROLLED_OUT: Final = """
metadata.name word
metadata.namespace namespace
spec.replicas number
status.replicas number
status.readyReplicas number
status.availableReplicas number
status.updatedReplicas number
status.unavailableReplicas number
status.desiredNumberScheduled number
status.numberReady number
status.numberUnavailable number
status.numberMisscheduled number
status.observedGeneration number
"""
TABLES: Final = {
    "nodes": f"""
metadata.name node
spec.unschedulable flag
spec.taints[].key word
spec.taints[].value text
spec.taints[].effect word
status.capacity.<resource> amount
status.allocatable.<resource> amount
status.nodeInfo.kubeletVersion word
status.nodeInfo.kernelVersion word
status.nodeInfo.osImage word
status.nodeInfo.architecture word
status.nodeInfo.operatingSystem word
status.nodeInfo.containerRuntimeVersion word
{_CONDITIONS}""",
    "pods": f"""
metadata.name pod
metadata.namespace namespace
spec.nodeName node
spec.schedulerName word
spec.priority number
spec.priorityClassName word
spec.restartPolicy word
spec.runtimeClassName word
spec.schedulingGates[].name word
{_below("spec.containers[].", _CONTAINER)}{_below("spec.initContainers[].", _CONTAINER)}
status.phase word
status.reason word
status.message text
status.nominatedNodeName node
status.startTime time
status.qosClass word
{_below("status.containerStatuses[].", _STATE)}{_below("status.initContainerStatuses[].", _STATE)}{_CONDITIONS}""",
    "events": """
metadata.name text
metadata.namespace namespace
involvedObject.kind word
involvedObject.name text
involvedObject.namespace namespace
involvedObject.uid word
reason word
message text
type word
count number
firstTimestamp time
lastTimestamp time
eventTime time
reportingComponent word
source.component word
source.host node
action word
""",
    "deployments": f"{_ROLLED_OUT}{_below('spec.template.spec.containers[].', _CONTAINER)}{_CONDITIONS}",
    "daemonsets": f"{_ROLLED_OUT}{_below('spec.template.spec.containers[].', _CONTAINER)}{_CONDITIONS}",
    "leases": """
metadata.name text
metadata.namespace namespace
spec.holderIdentity text
spec.leaseDurationSeconds number
spec.leaseTransitions number
spec.acquireTime time
spec.renewTime time
""",
    "queues": f"""
metadata.name queue
spec.displayName text
spec.parentQueue queue
spec.priority number
spec.preemptMinRuntime word
spec.reclaimMinRuntime word
{_QUOTAS}
status.childQueues[] queue
status.allocated.<resource> amount
status.allocatedNonPreemptible.<resource> amount
status.requested.<resource> amount
status.fairShare.<resource> amount
{_CONDITIONS}""",
    "podgroups": """
metadata.name text
metadata.namespace namespace
spec.minMember number
spec.queue queue
spec.priorityClassName word
spec.preemptibility word
spec.topologyConstraint.topology word
spec.topologyConstraint.requiredTopologyLevel word
spec.topologyConstraint.preferredTopologyLevel word
spec.subGroups[].name word
spec.subGroups[].minMember number
spec.subGroups[].parent word
status.phase word
status.running number
status.pending number
status.succeeded number
status.failed number
status.resourcesStatus.allocated.<resource> amount
status.resourcesStatus.requested.<resource> amount
status.schedulingConditions[].type word
status.schedulingConditions[].nodePool word
status.schedulingConditions[].reason word
status.schedulingConditions[].message text
status.schedulingConditions[].lastTransitionTime time
status.schedulingConditions[].reasons[].reason word
status.schedulingConditions[].reasons[].message text
status.conditions[].type word
status.conditions[].status word
status.conditions[].reason word
status.conditions[].message text
status.conditions[].lastTransitionTime time
""",
    "bindrequests": """
metadata.name text
metadata.namespace namespace
spec.podName pod
spec.selectedNode node
spec.receivedResourceType word
spec.receivedGPU.count number
spec.receivedGPU.portion word
spec.selectedGPUGroups[] word
spec.backoffLimit number
status.phase word
status.reason text
status.failedAttempts number
""",
    "projects": f"metadata.name project\n{_UNIT}{_CONDITIONS}",
    "departments": f"metadata.name department\n{_UNIT}{_CONDITIONS}",
    "nodepools": f"""
metadata.name word
spec.labelKey word
spec.labelValue text
spec.placement word
spec.cpuPlacement word
status.phase word
status.message text
status.nodes[] node
status.gpus number
{_CONDITIONS}""",
    "nodereports": """
metadata.name node
status.observedAt time
status.simulated flag
status.driverVersion word
status.cudaVersion word
status.enforcement word
status.findings[] text
status.devices[].uuid word
status.devices[].index number
status.devices[].model word
status.devices[].memoryMib number
status.devices[].memoryUsedMib number
status.devices[].utilisationPercent number
status.devices[].healthy flag
status.devices[].healthMessage text
status.devices[].idleSince time
status.devices[].gpuGroups[] word
status.devices[].pods[] text
""",
    "clusterconfigs": f"""
metadata.name word
status.version word
status.prerequisites.at time
status.prerequisites.version word
status.prerequisites.verdict word
status.prerequisites.nodes[] node
status.prerequisites.news[] text
status.prerequisites.newsSince time
status.prerequisites.checks[].code word
status.prerequisites.checks[].verdict word
status.prerequisites.checks[].counts word
status.prerequisites.checks[].since time
status.prerequisites.checks[].cause word
status.prerequisites.checks[].seen text
status.prerequisites.checks[].remedy text
status.prerequisites.checks[].accepted text
status.prerequisites.checks[].nodes.<node> word
status.prerequisites.checks[].moreNodes number
{_CONDITIONS}""",
    **dict.fromkeys(("workspaces", "trainings", "distributedtrainings", "inferences"), f"{_WORKLOAD}{_CONDITIONS}"),
}
"""Plural of a kind -> its fields."""

_LABEL_PREFIXES: Final = (
    "kubernetes.io/",
    "node.kubernetes.io/",
    "node-role.kubernetes.io/",
    "topology.kubernetes.io/",
    "nvidia.com/",
)
_LABELS: Final = frozenset(field.key for field in FIELDS if field.place == "label") | {
    "app.kubernetes.io/name",
    "app.kubernetes.io/part-of",
    "app.kubernetes.io/version",
}
_ANNOTATIONS: Final = frozenset(field.key for field in FIELDS if field.place == "annotation")


def is_kept(place: str, key: str) -> bool:
    """Whether a label or an annotation goes along: those that we read or write, and what describes a node."""
    if place == "annotations":
        return key in _ANNOTATIONS
    return place != "labels" or key in _LABELS or key.startswith(_LABEL_PREFIXES)


def _keys(table: str) -> Iterator[Key]:
    for line in f"{_META}{table}".split("\n"):
        if line.strip():
            path, sort = line.split()
            yield Key(path, _SORTS.get(sort, (sort,)), may_be_null=True, meaning="", how="")


_SORTS: Final = {"amount": ("number", "word"), "text": ("message",)}
TREES: Final[dict[str, Branch]] = {plural: tree_of(tuple(_keys(table))) for plural, table in TABLES.items()}
