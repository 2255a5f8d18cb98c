"""One cluster's rows: workloads in every phase, nodes with whole, shared, sick and lost devices, projects that borrow and wait."""

from __future__ import annotations

from fairlead.wire.agent import (
    AnyRow,
    DeviceRow,
    HistoryEntry,
    Holder,
    NodeRow,
    PodRow,
    QueueRow,
    ReasonText,
    WorkloadRow,
)

QUOTAS = {"language": 24, "vision": 8, "speech": 4, "search": 8}

_WORK = (
    # name, project, phase, asked, allocated, node, message
    ("asr-conformer-ft", "speech", "Failed", 1, 0, "", "Failed 3 times: exit code 1"),
    ("search-api", "search", "Degraded", 4, 3, "h100-01", "3 of 4 pods run, 4 are needed"),
    ("sft-70b-run4", "language", "Pending", 16, 0, "", "No node has room: needs 8 GPUs, 6 GPUs left (6 nodes)"),
    (
        "vit-sweep-13",
        "vision",
        "Pending",
        8,
        0,
        "",
        "Over the limit of vision: it would use 14 GPUs, the limit is 12 GPUs",
    ),
    ("nb-mira", "language", "Initializing", 1, 1, "h100-02", "Starting on h100-02"),
    ("vit-sweep-12", "vision", "Running", 6, 6, "h100-02", ""),
    ("pretrain-1b-abl", "language", "Running", 8, 8, "h100-00", ""),
    ("embed-refresh", "search", "Running", 2, 2, "h100-01", ""),
    ("tts-small-dev", "speech", "Running", 0.5, 0.5, "h100-03", ""),
    ("ci-gpu-unit-4821", "search", "Running", 0.25, 0.25, "h100-03", ""),
    ("ablation-7", "language", "Stopped", 2, 0, "", "Suspended; resume it to run again"),
    ("tokenise-all", "language", "Completed", 1, 0, "", "Ended with exit code 0"),
)


def rows(now: float) -> tuple[AnyRow, ...]:
    """All of it, as of `now`."""
    return (*_workloads(now), *_pods(now), *_nodes(now), *_queues())


def workload(name: str, project: str, now: float, **more: object) -> WorkloadRow:
    """A workload row with what most of them share."""
    base = {
        "id": name,
        "kind": "Training",
        "namespace": f"runai-{project}",
        "name": name,
        "image": f"reg.lab/{project}/train:2026-11-20",
        "submitted_by": "mira",
        "created": now - 1200,
        "phase_since": now - 900,
        "pool": "default",
    }
    return WorkloadRow(**{**base, **more})  # type: ignore[arg-type]  # fields by name


def _workloads(now: float) -> list[WorkloadRow]:
    found = []
    for name, project, phase, asked, allocated, node, message in _WORK:
        reasons = (ReasonText(code="no-room", message=message),) if phase == "Pending" else ()
        history = (
            HistoryEntry(time=now - 1200, type="asked", message="Asked"),
            *((HistoryEntry(time=now - 900, type="placed", message=f"{name}-0 placed on {node}"),) if node else ()),
        )
        found.append(
            workload(
                name,
                project,
                now,
                phase=phase,
                message=message,
                reasons=reasons,
                requested_gpu_milli=int(asked * 1000),
                allocated_gpu_milli=int(allocated * 1000),
                borrowed_gpu_milli=2000 if name == "vit-sweep-12" else 0,
                running_pods=1 if allocated else 0,
                nodes=(node,) if node else (),
                started=now - 900 if node or phase == "Completed" else None,
                completed=now - 60 if phase == "Completed" else None,
                exit_code=1 if phase == "Failed" else None,
                history=history,
            )
        )
    return found


def _pods(now: float) -> list[PodRow]:
    return [
        PodRow(
            uid=f"pod-{name}",
            workload=name,
            namespace=f"runai-{project}",
            name=f"{name}-0",
            phase="Running",
            node=node,
            gpu_milli=int(allocated * 1000),
            devices=(0,),
            created=now - 900,
            started=now - 900,
        )
        for name, project, _phase, _asked, allocated, node, _message in _WORK
        if node
    ]


def _nodes(now: float) -> list[NodeRow]:
    holders = {
        "h100-00": [("pretrain-1b-abl", "language", 1000)] * 8,
        "h100-01": [("search-api", "search", 1000)] * 3 + [("embed-refresh", "search", 1000)] * 2,
        "h100-02": [("vit-sweep-12", "vision", 1000)] * 6 + [("nb-mira", "language", 1000)],
        "h100-03": [],
        "h100-04": [],
        "h100-05": [],
    }
    found = []
    for name, held in holders.items():
        devices = [
            DeviceRow(
                index=i,
                uuid=f"GPU-{name}-{i}",
                model="NVIDIA-H100-80GB",
                memory_mib=81920,
                healthy=not (name == "h100-04" and i == 3),
                used_milli=held[i][2] if i < len(held) else 0,
                holders=(_holder(held[i]),) if i < len(held) else (),
            )
            for i in range(8)
        ]
        if name == "h100-03":
            shared = (_holder(("tts-small-dev", "speech", 500)), _holder(("ci-gpu-unit-4821", "search", 250)))
            devices[0] = DeviceRow(
                index=0, uuid="GPU-h100-03-0", model="NVIDIA-H100-80GB", used_milli=750, holders=shared
            )
        found.append(
            NodeRow(
                name=name,
                uid=name,
                ready=name != "h100-05",
                reason="the node does not answer" if name == "h100-05" else "",
                runtime="containerd",
                created=now - 86400,
                cpu_milli=64_000,
                cpu_used_milli=12_000,
                memory_bytes=512 << 30,
                memory_used_bytes=96 << 30,
                gpus=tuple(devices),
            )
        )
    return found


def _holder(held: tuple[str, str, int]) -> Holder:
    name, project, milli = held
    return Holder(workload=name, workload_name=name, project=project, pod=f"{name}-0", milli=milli)


def _queues() -> list[QueueRow]:
    use = {"language": (9, 26, 24), "vision": (6, 14, 8), "speech": (0.5, 0.5, 4), "search": (5.25, 6.25, 8)}
    found = [
        QueueRow(
            name="default",
            kind="department",
            deserved=(-1, -1, -1),
            fair_share=(40_000, 0, 0),
            allocated=(20_750, 0, 0),
            requested=(46_750, 0, 0),
        )
    ]
    for name, (used, asked, fair) in use.items():
        deserved = 4 if name == "vision" else QUOTAS[name]
        found.append(
            QueueRow(
                name=name,
                parent="default",
                deserved=(deserved * 1000, -1, -1),
                limit=(8_000 if name == "vision" else -1, -1, -1),
                fair_share=(fair * 1000, 0, 0),
                allocated=(int(used * 1000), 0, 0),
                requested=(int(asked * 1000), 0, 0),
            )
        )
    return found
