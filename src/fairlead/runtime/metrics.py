"""Every metric of the product: name, type, labels, unit, meaning, and who serves it. The reference page is made from this table.

Exporters make theirs by these names alone (`runtime.instruments`), so that nothing is served which is not listed. Names that begin with
`runai_` are published by Run:ai and mean here what they mean there; ours begin with `fairlead_`. Labels are `pod_name`, not `pod`, and
`pod_namespace`, not `namespace`: those are what Prometheus itself calls the pod it scraped. People are in no label, and what has ended is
in none: the number of series is bounded by what runs and waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from msgspec import Struct

Kind = Literal["gauge", "counter", "histogram", "info"]
Source = Literal["every role", "scheduler", "controllers", "admission", "agent", "node", "rule"]


class Metric(Struct, frozen=True, kw_only=True):
    """One name. `labels`: beside those that Prometheus adds; `source`: the role that serves it, or the recording rules."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    unit: str
    meaning: str
    source: Source


_WORK: Final = "job_name job_type job_uuid project"
_JOB: Final = "job_name job_uuid"
_JOB_OF_PROJECT: Final = f"{_JOB} project"
_POD: Final = "pod_namespace pod_name pod_uuid node"
_QUEUE: Final = "queue project department node_pool"
_DEVICE: Final = "node gpu"


def _rows(source: Source, *rows: tuple[str, Kind, str, str, str]) -> Iterator[Metric]:
    for name, kind, labels, unit, meaning in rows:
        yield Metric(name=name, kind=kind, labels=tuple(labels.split()), unit=unit, meaning=meaning, source=source)


METRICS: Final = (
    *_rows(
        "every role",
        ("fairlead_build_info", "info", "version role", "1", "The version of the program."),
        ("fairlead_leader", "gauge", "role", "0/1", "Whether this process is the one of its role that acts."),
    ),
    *_rows(
        "scheduler",
        # what it does
        (
            "fairlead_scheduler_cycle_seconds",
            "histogram",
            "",
            "seconds",
            "From the start of a cycle to its last write, over all node pools.",
        ),
        ("fairlead_scheduler_decision_seconds", "histogram", "node_pool", "seconds", "One decision, without writes."),
        ("fairlead_scheduler_last_cycle_timestamp_seconds", "gauge", "", "unix seconds", "When the last cycle ended."),
        (
            "fairlead_scheduler_bugs_total",
            "counter",
            "",
            "decisions",
            "Decisions that met a bug; its work is set aside.",
        ),
        (
            "fairlead_binds_total",
            "counter",
            "result",
            "pods",
            "Pods given a place: done, refused (gone, or changed meanwhile), uncertain, failed.",
        ),
        (
            "fairlead_evictions_total",
            "counter",
            "action",
            "pods",
            "Pods evicted: reclaim, preempt, consolidate, evict_stale.",
        ),
        (
            "fairlead_shadow_placements_total",
            "counter",
            "instead",
            "pods",
            "In shadow mode: pods that another scheduler placed, by what this one would have done (same-node, other-node, wait).",
        ),
        ("fairlead_shadow_evictions_total", "counter", "", "pods", "In shadow mode: pods that it would have evicted."),
        # quota
        (
            "runai_project_guaranteed_gpus",
            "gauge",
            "project",
            "GPUs",
            "Guaranteed to the project, over all node pools; +Inf for unlimited.",
        ),
        (
            "runai_project_info",
            "gauge",
            "project department_name gpu_guaranteed_quota cpu_quota memory_quota",
            "1",
            "The project's department, and its guaranteed GPUs, cores and bytes, as text.",
        ),
        ("fairlead_queue_deserved_gpus", "gauge", _QUEUE, "GPUs", "Guaranteed; +Inf for unlimited."),
        ("fairlead_queue_limit_gpus", "gauge", _QUEUE, "GPUs", "Its ceiling; +Inf for none."),
        ("fairlead_queue_fair_share_gpus", "gauge", _QUEUE, "GPUs", "What the division of the pool gives it now."),
        ("fairlead_queue_allocated_gpus", "gauge", _QUEUE, "GPUs", "In use, children included."),
        (
            "fairlead_queue_allocated_non_preemptible_gpus",
            "gauge",
            _QUEUE,
            "GPUs",
            "In use by work that may not be evicted.",
        ),
        ("fairlead_queue_requested_gpus", "gauge", _QUEUE, "GPUs", "In use and waited for."),
        (
            "fairlead_queue_waiting_within_quota_seconds",
            "gauge",
            _QUEUE,
            "seconds",
            "Longest wait of work that asks for GPUs and would stay within what is guaranteed; 0 for none.",
        ),
        # work
        ("runai_allocated_gpus", "gauge", "", "GPUs", "In use by work that this scheduler placed."),
        ("runai_job_allocated_gpus", "gauge", _WORK, "GPUs", "In use by the workload."),
        ("runai_job_requested_gpus", "gauge", _WORK, "GPUs", "Asked for by the workload, in use or not."),
        (
            "runai_job_requested_gpu_memory",
            "gauge",
            _WORK,
            "bytes",
            "Asked for by the workload as memory of GPUs; none where it asks for parts or whole ones.",
        ),
        (
            "runai_job_status_with_info",
            "gauge",
            f"{_WORK} status",
            "1",
            "Running, Initializing (it has a place), or Pending.",
        ),
        (
            "runai_active_job_cpu_requested_cores",
            "gauge",
            _JOB,
            "cores",
            "Asked for by the workload's pods that have a place.",
        ),
        (
            "runai_active_job_memory_requested_bytes",
            "gauge",
            _JOB,
            "bytes",
            "Asked for by the workload's pods that have a place.",
        ),
        ("runai_active_job_cpu_allocated_cores", "gauge", _JOB, "cores", "The cores above, by their name of 2021."),
        ("runai_active_job_memory_allocated_bytes", "gauge", _JOB, "bytes", "The bytes above, by their name of 2021."),
        ("runai_running_job_cpu_requested_cores", "gauge", _JOB, "cores", "Asked for by the workload's pods that run."),
        (
            "runai_running_job_memory_requested_bytes",
            "gauge",
            _JOB,
            "bytes",
            "Asked for by the workload's pods that run.",
        ),
        (
            "runai_running_job_cpu_limit_cores",
            "gauge",
            _JOB,
            "cores",
            "Limits of the containers that run; one without a limit counts nothing.",
        ),
        (
            "runai_running_job_memory_limit_bytes",
            "gauge",
            _JOB,
            "bytes",
            "Limits of the containers that run; one without a limit counts nothing.",
        ),
        ("runai_job_image", "gauge", f"image {_JOB}", "1", "Images of the workload's containers."),
        (
            "runai_job_total_runtime",
            "gauge",
            "job_uuid",
            "seconds",
            "Since the first of the workload's pods that run now was started; time before an eviction is not in it.",
        ),
        (
            "runai_job_total_wait_time",
            "gauge",
            "job_uuid",
            "seconds",
            "The longest that one of the workload's pods waited for its start, or waits; time before an eviction is not in it.",
        ),
        ("runai_allocated_gpu_count_per_project", "gauge", "project", "GPUs", "In use by the project."),
        ("runai_allocated_gpu_count_per_workload", "gauge", _WORK, "GPUs", "In use by the workload."),
        ("runai_allocated_gpu_count_per_pod", "gauge", _POD, "GPUs", "In use by the pod."),
        ("runai_allocated_millicpus_per_pod", "gauge", _POD, "1/1000 cores", "Asked for by a pod that has a place."),
        ("runai_allocated_memory_per_pod", "gauge", _POD, "bytes", "Asked for by a pod that has a place."),
        (
            "fairlead_pod_info",
            "gauge",
            f"{_POD} {_WORK}",
            "1",
            "The workload of a pod that has a place, to join others with.",
        ),
        ("fairlead_workloads", "gauge", "project node_pool status", "workloads", "Running, Initializing and Pending."),
        (
            "fairlead_waiting",
            "gauge",
            "project node_pool reason",
            "gangs and single pods",
            "What waits, by the first cause (codes as in the reference of reasons).",
        ),
        ("fairlead_workload_waiting_seconds", "gauge", _WORK, "seconds", "How long the workload's pods have waited."),
        # machines
        ("runai_gpu_count_per_node", "gauge", "node", "GPUs", "Devices of the node."),
        ("runai_allocated_gpu_count_per_node", "gauge", "node", "GPUs", "In use on the node by our work."),
        ("runai_node_cpu_requested_cores", "gauge", "node", "cores", "Asked for by all pods on the node."),
        ("runai_node_requested_memory_bytes", "gauge", "node", "bytes", "Asked for by all pods on the node."),
        ("fairlead_nodes", "gauge", "node_pool state", "nodes", "Ready, cordoned and not-ready."),
        (
            "fairlead_node_pool_gpus",
            "gauge",
            "node_pool state",
            "GPUs",
            "allocated (our work), foreign (pods of other schedulers), free, unusable (free on a node that takes nothing); "
            "together all there are.",
        ),
    ),
    *_rows(
        "controllers",
        (
            "fairlead_reconcile_total",
            "counter",
            "loop result",
            "passes",
            "Passes of a control loop: done, again (tried again later), gave-up (refused for good), bug.",
        ),
        (
            "fairlead_reservation_pods",
            "gauge",
            "state",
            "pods",
            "Pods that hold a device for others: used, or unused, which should be gone within seconds.",
        ),
    ),
    *_rows(
        "admission",
        (
            "fairlead_admission_reviews_total",
            "counter",
            "webhook result",
            "reviews",
            "What the API server asked: mutate or validate; allowed, changed, refused, not-ready, malformed.",
        ),
        ("fairlead_admission_seconds", "histogram", "webhook", "seconds", "How long an answer took."),
    ),
    *_rows(
        "agent",
        ("fairlead_agent_connected", "gauge", "", "0/1", "Whether this process is connected to the control plane."),
        ("fairlead_agent_connections_total", "counter", "", "connections", "Tries to connect."),
        (
            "fairlead_agent_frames_total",
            "counter",
            "direction",
            "messages",
            "Messages received from, and sent to, the control plane.",
        ),
    ),
    *_rows(
        "node",
        (
            "runai_gpu_utilization_per_gpu",
            "gauge",
            _DEVICE,
            "0-100",
            "How busy the device is; 0 where it does not tell.",
        ),
        ("runai_node_gpu_utilization", "gauge", _DEVICE, "0-100", "The same, by its name of 2021."),
        ("runai_gpu_memory_used_mebibytes_per_gpu", "gauge", _DEVICE, "MiB", "Memory in use."),
        ("runai_gpu_memory_total_mebibytes_per_gpu", "gauge", _DEVICE, "MiB", "Memory there is."),
        ("runai_gpu_is_allocated", "gauge", _DEVICE, "0/1", "Whether a pod has the device, or a part of it."),
        ("runai_gpu_is_running_fractional_job", "gauge", _DEVICE, "0/1", "Whether pods share the device."),
        (
            "runai_gpu_last_active_time",
            "gauge",
            _DEVICE,
            "unix seconds",
            "When the device was last seen busy; the start of the node's agent where it was not since.",
        ),
        ("runai_node_gpu_last_not_idle_time", "gauge", _DEVICE, "unix seconds", "The same, by its name of 2021."),
        (
            "runai_gpu_utilization_with_pod_info",
            "gauge",
            f"pod_namespace pod_name {_DEVICE}",
            "0-100",
            "How busy the device is, for each pod that has it for itself.",
        ),
        (
            "fairlead_pod_gpu_memory_used_mebibytes",
            "gauge",
            f"pod_namespace pod_name {_DEVICE}",
            "MiB",
            "Memory of the device in use, for a pod that alone has it.",
        ),
        ("runai_mig_mode_gpu_count", "gauge", "node", "GPUs", "Devices that are split by MIG, by the driver's word."),
        ("runai_gpu_utilization_per_node", "gauge", "node", "0-100", "Mean over the devices."),
        ("runai_gpu_memory_used_mebibytes_per_node", "gauge", "node", "MiB", "Memory of GPUs in use."),
        ("runai_gpu_memory_total_mebibytes_per_node", "gauge", "node", "MiB", "Memory of GPUs there is."),
        ("runai_node_gpu_used_memory_bytes", "gauge", "node", "bytes", "Memory of GPUs in use."),
        ("runai_node_gpu_used_memory", "gauge", "node", "MiB", "The same, by its name of 2021."),
        ("runai_node_gpu_total_memory", "gauge", "node", "MiB", "Memory of GPUs there is, by its name of 2021."),
        (
            "runai_node_cpu_utilization",
            "gauge",
            "node",
            "0-1",
            "How busy the node's cores were between the last two looks; nodes with GPUs alone, as the four that follow.",
        ),
        ("runai_node_memory_utilization", "gauge", "node", "0-1", "Part of the node's memory that is not available."),
        ("runai_node_used_memory_bytes", "gauge", "node", "bytes", "The node's memory that is not available."),
        ("runai_node_memory_used_bytes", "gauge", "node", "bytes", "The same, by its name of 2021."),
        ("runai_node_total_memory_bytes", "gauge", "node", "bytes", "The node's memory."),
        (
            "fairlead_device_info",
            "gauge",
            f"{_DEVICE} uuid model",
            "1",
            "The device's id and model; `gpu` is its number on the node.",
        ),
        ("fairlead_device_healthy", "gauge", _DEVICE, "0/1", "Whether the kubelet gives the device out."),
        ("fairlead_node_devices", "gauge", "node", "GPUs", "Devices that the node's agent sees."),
        (
            "fairlead_node_findings",
            "gauge",
            "node",
            "findings",
            "What is wrong with GPUs there (library, driver, kubelet, MPS); the NodeReport says it in words.",
        ),
        ("fairlead_mps_daemons", "gauge", "state", "daemons", "MPS daemons of shared devices: living, away."),
        ("fairlead_mps_starts", "gauge", "", "starts", "How often the MPS daemons that are kept now were started."),
    ),
    *_rows(
        "rule",
        (
            "runai_job_gpu_utilization",
            "gauge",
            _WORK,
            "0-100",
            "Mean over the devices that the workload has for itself.",
        ),
        ("runai_gpu_utilization_per_workload", "gauge", _WORK, "0-100", "The same, by its newer name."),
        ("runai_gpu_utilization_per_project", "gauge", "project", "0-100", "Mean over such devices of the project."),
        (
            "runai_gpu_utilization_non_fractional_jobs",
            "gauge",
            f"{_JOB} {_DEVICE}",
            "0-100",
            "How busy a device is that the workload has for itself.",
        ),
        (
            "runai_gpu_utilization_per_pod_per_gpu",
            "gauge",
            f"{_POD} gpu",
            "0-100",
            "How busy a device is that the pod has for itself.",
        ),
        (
            "runai_gpu_memory_used_mebibytes_per_pod_per_gpu",
            "gauge",
            f"{_POD} gpu",
            "MiB",
            "Memory in use of a device that the pod alone has.",
        ),
        (
            "runai_gpu_memory_used_mebibytes_per_workload",
            "gauge",
            _WORK,
            "MiB",
            "Memory in use of devices that the workload's pods alone have.",
        ),
        ("runai_job_used_gpu_memory_bytes", "gauge", "job_uuid", "bytes", "The same."),
        (
            "runai_job_used_gpu_memory_bytes_with_gpu_node",
            "gauge",
            f"job_name {_DEVICE}",
            "bytes",
            "The same, for each device.",
        ),
        (
            "runai_last_gpu_utilization_time_per_workload",
            "gauge",
            _WORK,
            "unix seconds",
            "When one of the devices that the workload has for itself was last seen busy.",
        ),
        ("runai_gpu_idle_seconds_per_workload", "gauge", _WORK, "seconds", "Since then."),
        ("runai_gpu_idle_time_per_workload", "gauge", _WORK, "seconds", "The same, by its earlier name."),
        # of what others export, where Prometheus collects it
        (
            "runai_running_job_cpu_used_cores",
            "gauge",
            _JOB_OF_PROJECT,
            "cores",
            "In use over the last five minutes, where the kubelets' metrics of containers (cAdvisor) are collected.",
        ),
        ("runai_job_cpu_usage", "gauge", _JOB_OF_PROJECT, "cores", "The same, by its name of 2021."),
        (
            "runai_running_job_memory_used_bytes",
            "gauge",
            _JOB_OF_PROJECT,
            "bytes",
            "In use (working set), where the kubelets' metrics of containers are collected.",
        ),
        ("runai_job_memory_used_bytes", "gauge", _JOB_OF_PROJECT, "bytes", "The same, by its name of 2021."),
        (
            "runai_job_swap_memory_used_bytes",
            "gauge",
            f"{_JOB_OF_PROJECT} node",
            "bytes",
            "Swapped out, where the kubelets' metrics of containers are collected.",
        ),
        (
            "runai_cluster_cpu_utilization",
            "gauge",
            "",
            "0-1",
            "How busy the cores of all nodes were in the last five minutes, where node-exporter is collected.",
        ),
        (
            "runai_cluster_memory_utilization",
            "gauge",
            "",
            "0-1",
            "Part of the memory of all nodes that is not available, where node-exporter is collected.",
        ),
        (
            "runai_cluster_memory_used_bytes",
            "gauge",
            "",
            "bytes",
            "Memory of all nodes that is not available, where node-exporter is collected.",
        ),
        ("fairlead:gpus_allocated:ratio", "gauge", "node_pool", "0-1", "Part of the pool's devices that our work has."),
        (
            "fairlead:gpus_idle:count",
            "gauge",
            "node",
            "GPUs",
            "Devices that a pod has and that were not busy for an hour.",
        ),
        (
            "fairlead:scheduler_decision_seconds:p99",
            "gauge",
            "node_pool",
            "seconds",
            "99 of 100 decisions of the last ten minutes took no longer.",
        ),
        ("fairlead:evictions:rate5m", "gauge", "action", "pods/s", "Evictions, over five minutes."),
    ),
)

BY_NAME: Final = {metric.name: metric for metric in METRICS}
