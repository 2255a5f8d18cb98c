"""Every annotation and label we own or read: the key, where it stands, who writes it, who reads it.

Code names keys by the constants of this module, never by text of its own. Keys outside `fairlead.dev/` are published by
KAI Scheduler, Run:ai or NVIDIA; they keep their names so that labelled pods keep working.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

Place = Literal["label", "annotation"]


class Field(Struct, frozen=True, kw_only=True):
    """One key: what it means, on what it stands, and its writers and readers."""

    key: str
    place: Place
    on: str
    meaning: str
    writer: str
    reader: str


HOLD: Final = "fairlead.dev/hold"
PROJECT: Final = "fairlead.dev/project"
DEPARTMENT: Final = "fairlead.dev/department"
WORKLOAD: Final = "fairlead.dev/workload"
WORKLOAD_KIND: Final = "fairlead.dev/workload-kind"
WORKLOAD_ID: Final = "fairlead.dev/workload-id"
REQUESTED_BY: Final = "fairlead.dev/requested-by"
ROLE: Final = "fairlead.dev/role"
RANK: Final = "fairlead.dev/rank"
ATTEMPT: Final = "fairlead.dev/attempt"
ENDED: Final = "fairlead.dev/ended"
TEMPLATE_HASH: Final = "fairlead.dev/template-hash"
EVICTION_REASON: Final = "fairlead.dev/eviction-reason"
NODE_POOL_CHOICE: Final = "fairlead.dev/node-pools"
CHECKPOINT_AT: Final = "fairlead.dev/checkpoint-at"
ENFORCEMENT: Final = "fairlead.dev/enforcement"
ENFORCEMENT_REASON: Final = "fairlead.dev/enforcement-reason"
GPU_MEMORY_LIMIT: Final = "fairlead.dev/gpu-memory-limit"
MPS_SINCE: Final = "fairlead.dev/mps-since"
MPS_CLAIM: Final = "fairlead.dev/mps-claim"
DEVICES: Final = "fairlead.dev/devices"
VISIBLE_DEVICES: Final = "fairlead.dev/visible-devices"
GPU_PORTION: Final = "fairlead.dev/gpu-portion"
SIMULATED: Final = "fairlead.dev/simulated"
FINALIZER: Final = "fairlead.dev/cleanup"
CHECK_NOW: Final = "fairlead.dev/check-now"

QUEUE: Final = "kai.scheduler/queue"
QUEUE_OLD: Final = "runai/queue"
NODE_POOL: Final = "kai.scheduler/node-pool"
PRIORITY_CLASS: Final = "priorityClassName"
PREEMPTIBILITY: Final = "kai.scheduler/preemptibility"
PROJECT_OLD: Final = "project"
USER_OLD: Final = "user"
POD_GROUP: Final = "pod-group-name"
GROUPED: Final = "fairlead.dev/grouped"
SUBGROUP: Final = "kai.scheduler/subgroup-name"
TOP_OWNER: Final = "kai.scheduler/top-owner-metadata"
GPU_FRACTION: Final = "gpu-fraction"
GPU_MEMORY: Final = "gpu-memory"
GPU_FRACTION_DEVICES: Final = "gpu-fraction-num-devices"
GPU_FRACTION_CONTAINER: Final = "gpu-fraction-container-name"
MPS: Final = "mps"
RECEIVED_TYPE: Final = "received-resource-type"
GPU_GROUP: Final = "runai-gpu-group"
GPU_GROUP_PREFIX: Final = "runai-gpu-group/"
SHARED_GPU_CONFIG_MAP: Final = "runai/shared-gpu-configmap"
RESERVED_DEVICE: Final = "run.ai/reserve_for_gpu_index"
TASK_PRIORITY: Final = "kai.scheduler/task-priority"
STALE_SINCE: Final = "kai.scheduler/stale-podgroup-timestamp"
LAST_START: Final = "kai.scheduler/last-start-timestamp"
TOPOLOGY: Final = "kai.scheduler/topology"
TOPOLOGY_REQUIRED: Final = "kai.scheduler/topology-required-placement"
TOPOLOGY_PREFERRED: Final = "kai.scheduler/topology-preferred-placement"
SELECTED_NODE: Final = "selected-node"

GPU_MEMORY_LABEL: Final = "nvidia.com/gpu.memory"
GPU_COUNT_LABEL: Final = "nvidia.com/gpu.count"
GPU_PRODUCT_LABEL: Final = "nvidia.com/gpu.product"
MIG_STRATEGY_LABEL: Final = "nvidia.com/mig.strategy"

GPU_RESOURCE: Final = "nvidia.com/gpu"
"""Resource name of whole devices; not a label."""
MIG_PREFIX: Final = "nvidia.com/mig-"
"""Resource names of MIG instances begin with it."""


def _row(key: str, place: Place, on: str, meaning: str, who: str) -> Field:
    writer, reader = who.split(" > ")
    return Field(key=key, place=place, on=on, meaning=meaning, writer=writer, reader=reader)


FIELDS: Final = (
    _row(HOLD, "annotation", "podgroup", "places, victims and deadline of a hold", "scheduler > scheduler, explain"),
    _row(PROJECT, "label", "namespace, pod", "the project it belongs to", "controllers > agent, scheduler, admission"),
    _row(DEPARTMENT, "label", "project, queue", "the department it belongs to", "controllers > agent"),
    _row(WORKLOAD, "label", "pod, service", "name of our workload it serves", "controllers > agent, node, cli"),
    _row(WORKLOAD_KIND, "label", "pod, service", "kind of that workload", "controllers > agent, cli"),
    _row(WORKLOAD_ID, "label", "workload, pod", "UUID the control plane gave", "agent, controllers > agent"),
    _row(REQUESTED_BY, "annotation", "workload, pod", "person who asked", "agent, admission > agent, cli"),
    _row(ROLE, "label", "pod", "master or worker", "controllers > controllers, agent"),
    _row(RANK, "label", "pod", "number of a pod in its gang", "controllers > controllers"),
    _row(ATTEMPT, "label", "pod", "number of the try, evictions included", "controllers > controllers"),
    _row(
        ENDED, "annotation", "workload", "Completed or Failed, whatever became of its pods", "controllers > controllers"
    ),
    _row(TEMPLATE_HASH, "annotation", "pod", "hash of what it was made from", "controllers > controllers"),
    _row(EVICTION_REASON, "annotation", "pod", "why it is moved", "scheduler > controllers, agent"),
    _row(NODE_POOL_CHOICE, "annotation", "workload, pod", "node pools in order", "user, controllers > scheduler"),
    _row(CHECKPOINT_AT, "annotation", "pod", "time of the last checkpoint", "user > scheduler"),
    _row(
        ENFORCEMENT,
        "annotation",
        "pod",
        "how its share of a device is enforced: none, memory, hardware",
        "controllers, scheduler, node > agent, cli",
    ),
    _row(
        ENFORCEMENT_REASON,
        "annotation",
        "pod, reservation pod",
        "why memory is not enforced though it was asked for",
        "controllers, node > agent, controllers, cli",
    ),
    _row(
        GPU_MEMORY_LIMIT,
        "annotation",
        "pod",
        "memory a program may take of its shared device, as CUDA reads it",
        "controllers > node",
    ),
    _row(
        MPS_SINCE, "annotation", "reservation pod", "since when an MPS daemon serves the device", "node > controllers"
    ),
    _row(MPS_CLAIM, "annotation", "namespace", "volume claim by which pods reach MPS", "controllers > admission"),
    _row(DEVICES, "annotation", "pod", "indices of the devices it got", "node > agent, node"),
    _row(
        VISIBLE_DEVICES,
        "annotation",
        "pod",
        "UUIDs of its shared devices, one a gpu group",
        "controllers > controllers",
    ),
    _row(
        GPU_PORTION, "annotation", "pod", "part of each shared device, as its container is told", "controllers > node"
    ),
    _row(SIMULATED, "label", "node, pod", "no real device or process stands behind it", "node > agent, cli"),
    _row(
        CHECK_NOW,
        "annotation",
        "clusterconfig",
        "asks for a check of the prerequisites now; each new value asks once",
        "user > controllers",
    ),
    _row(QUEUE, "label", "pod, owner, namespace", "queue name", "user, controllers, admission > scheduler"),
    _row(QUEUE_OLD, "label", "pod, namespace", "queue name, older form", "user, controllers > scheduler"),
    _row(NODE_POOL, "label", "node, pod, podgroup, queue", "node pool", "user, controllers > scheduler"),
    _row(PRIORITY_CLASS, "label", "pod, owner", "priority class of the group", "user, controllers > controllers"),
    _row(PREEMPTIBILITY, "label", "pod, owner", "preemptible or non-preemptible", "user, controllers > controllers"),
    _row(PROJECT_OLD, "label", "pod, owner", "project, from which the queue follows", "user > controllers"),
    _row(USER_OLD, "label", "pod, owner", "person who asked", "user > controllers, agent"),
    _row(POD_GROUP, "annotation", "pod", "name of its pod group", "user, controllers > scheduler"),
    _row(GROUPED, "annotation", "pod", "alone: its owner was looked at, it is its own gang", "controllers > scheduler"),
    _row(SUBGROUP, "label", "pod", "leaf subgroup", "user, controllers > scheduler"),
    _row(TOP_OWNER, "annotation", "podgroup", "the user's object behind it", "controllers > agent"),
    _row(GPU_FRACTION, "annotation", "pod", "portion of each device, 0 to 1", "user, controllers > scheduler, node"),
    _row(GPU_MEMORY, "annotation", "pod", "MiB of each device", "user, controllers > scheduler, node"),
    _row(GPU_FRACTION_DEVICES, "annotation", "pod", "number of shared devices", "user, controllers > scheduler"),
    _row(GPU_FRACTION_CONTAINER, "annotation", "pod", "container that gets the GPU", "user > controllers, admission"),
    _row(MPS, "annotation", "pod", "true asks for MPS, false for none", "user > admission, controllers"),
    _row(RECEIVED_TYPE, "annotation", "pod", "Regular, Fraction or MigInstance", "controllers > scheduler, agent"),
    _row(
        GPU_GROUP, "label", "pod, reservation pod", "shared device's group", "scheduler, controllers > scheduler, node"
    ),
    _row(GPU_GROUP_PREFIX, "label", "pod", "one label a group, key is prefix + group", "controllers > scheduler, node"),
    _row(SHARED_GPU_CONFIG_MAP, "annotation", "pod", "prefix of its config maps", "controllers > node"),
    _row(
        RESERVED_DEVICE, "annotation", "reservation pod", "UUID of the device it got", "node > controllers, scheduler"
    ),
    _row(TASK_PRIORITY, "label", "pod", "order inside a group", "user > scheduler"),
    _row(STALE_SINCE, "annotation", "podgroup", "first seen below its minimum", "scheduler > scheduler"),
    _row(LAST_START, "annotation", "podgroup", "last time it started", "scheduler > scheduler"),
    _row(TOPOLOGY, "annotation", "owner", "topology of the group", "user > controllers"),
    _row(TOPOLOGY_REQUIRED, "annotation", "owner", "level it must lie within", "user > controllers"),
    _row(TOPOLOGY_PREFERRED, "annotation", "owner", "level it should lie within", "user > controllers"),
    _row(SELECTED_NODE, "label", "bindrequest", "the node of the bind", "scheduler > controllers"),
    _row(GPU_MEMORY_LABEL, "label", "node", "MiB of each device", "GPU feature discovery, node > scheduler"),
    _row(GPU_COUNT_LABEL, "label", "node", "number of devices", "GPU feature discovery, node > scheduler"),
    _row(GPU_PRODUCT_LABEL, "label", "node", "model of the devices", "GPU feature discovery, node > scheduler, agent"),
    _row(MIG_STRATEGY_LABEL, "label", "node", "none, single or mixed", "GPU feature discovery > scheduler"),
)
"""All keys, one row each."""
