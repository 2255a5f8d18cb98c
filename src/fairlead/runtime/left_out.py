"""Names, labels and series of Run:ai that the table of metrics has not, and why. The reference page ends with them."""

from __future__ import annotations

from typing import Final

NOT_SERVED: Final = (
    (
        "runai_deployment_request_rate",
        "Requests to a model do not pass through Fairlead: the model's server counts them.",
    ),
    ("runai_deployment_request_latencies", "As above."),
    (
        "runai_pod_group_gpu_utilization",
        "A workload's pods are one group: runai_job_gpu_utilization, runai_gpu_utilization_per_workload.",
    ),
    (
        "runai_pod_group_used_gpu_memory",
        "As above: runai_gpu_memory_used_mebibytes_per_workload.",
    ),
    (
        "runai_gpus_is_running_with_pod2",
        "runai_gpu_utilization_with_pod_info has a series for each pod and device.",
    ),
    (
        "dcgm_gpu_utilization and other DCGM_FI_",
        "NVIDIA's DCGM exporter serves them, and what is known of tensor cores, NVLink and PCIe.",
    ),
    ("kube_node_, kube_pod_", "kube-state-metrics serves them."),
)
"""Names of Run:ai that are not here, and why."""

LABELS_LEFT_OUT: Final = (
    ("clusterId", "Prometheus adds `cluster` to what is sent elsewhere."),
    ("user", "Of runai_job_status_with_info and later names: people are in no label."),
    ("node", "Of runai_job_status_with_info: fairlead_pod_info has the node of each pod."),
    (
        "pods of shared devices",
        "Names with a pod or a workload and how busy or full its device is: a driver tells that of a whole device alone, so "
        "pods with a device for themselves have them.",
    ),
)
"""Labels, and series, of Run:ai that are not here, and why."""
