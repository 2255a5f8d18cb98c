"""Memory of shared devices kept apart by NVIDIA's MPS: which pods take part, what their containers need, what may be said. Pure.

A pod takes part from its creation or not at all: variables and mounts of a pod that exists cannot be changed. The daemons are reached
through a volume claim of the namespace, because Pod Security allows claims where it refuses hostPath volumes. Source: ADR 7.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from fairlead.objects import fields
from fairlead.objects.pod import Container, ContainerStatus, EnvVar, Pod, Volume, VolumeMount
from fairlead.objects.times import seconds_of, text_of
from fairlead.workloads.gpus import gpu_of
from fairlead.workloads.shares import VISIBLE, from_annotation, holder_of

Choice = Literal["off", "asked", "all"]
"""Whose memory is enforced: nobody's, that of pods which ask for it, that of all which share one device and do not refuse."""

DIRECTORY: Final = "/run/fairlead/mps"
"""Where a node's daemons and their clients meet. CUDA wants the same path on both sides, so it is no setting."""
SHARED_MEMORY: Final = "shm"
"""Folder in it that both sides have as /dev/shm."""
NAME: Final = "fairlead-mps"
"""Name of a namespace's volume claim, and of the volume in a pod."""
PIPE: Final = "CUDA_MPS_PIPE_DIRECTORY"
LIMIT: Final = "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"
_DEVICES_OF_DAEMON: Final = 0
"""The only number of a device that a daemon of one device knows."""
_SHM: Final = "/dev/shm"

TOLD: Final = (
    EnvVar(name=PIPE, value=f"{DIRECTORY}/$({VISIBLE})/pipe"),
    from_annotation(LIMIT, fields.GPU_MEMORY_LIMIT),
)
"""The variables of CUDA; they stand behind the one that names the device, from which the path follows."""


class Statement(Struct, frozen=True):
    """How a pod's part of a device is enforced; why not, where it was to be."""

    enforcement: str
    reason: str = ""


def is_wanted(pod: Pod, choice: Choice) -> bool:
    """Whether the pod's memory is to be enforced here."""
    said = pod.metadata.annotations.get(fields.MPS)
    return choice != "off" and bool(holder_of(pod)) and (said == "true" or (choice == "all" and said != "false"))


def obstacle(pod: Pod, claim: str) -> str:
    """Why the pod cannot take part; empty where it can. `claim`: name of the namespace's claim, empty where it has none."""
    if not claim:
        return "the controllers have made no volume claim in its namespace by which MPS is reached"
    devices = gpu_of(pod).devices
    if devices > 1:
        return f"it shares {devices} GPUs, and a program can use the MPS daemon of one"
    if any(volume.name == NAME for volume in pod.spec.volumes):
        return f"it has a volume of its own by the name {NAME}"
    holder = next(iter(_holders(pod)), None)
    if holder is None:
        return "the container that is to get the GPU does not exist"
    taken = {mount.mount_path.rstrip("/") for mount in holder.volume_mounts} & {_SHM, DIRECTORY}
    if taken:
        return f"its container mounts a {min(taken)} of its own, and MPS needs the node's"
    return ""


def takes_part(pod: Pod) -> bool:
    """Whether its container was made a client of MPS."""
    holders = _holders(pod)
    return any(v.name == NAME and v.persistent_volume_claim for v in pod.spec.volumes) and any(
        [e.value for e in c.env if e.name == PIPE][-1:] == [TOLD[0].value] for c in holders
    )


def with_mps(pod: Pod, claim: str) -> Pod:
    """The pod as a client of MPS. It has been told its devices (`shares.with_devices`) and nothing is in the way (`obstacle`)."""
    holder = holder_of(pod)
    spec = replace(
        pod.spec,
        containers=tuple(_client(c) if c.name == holder else c for c in pod.spec.containers),
        init_containers=tuple(_client(c) if c.name == holder else c for c in pod.spec.init_containers),
        volumes=(*pod.spec.volumes, Volume(name=NAME, persistent_volume_claim={"claimName": claim})),
    )
    return replace(pod, spec=spec)


def memory_limit(pod: Pod, device_mib: int) -> str:
    """What a program of the pod may take of its device, as CUDA reads it; empty where the device's memory must be known and is not."""
    asked = gpu_of(pod)
    mib = asked.memory_mib or asked.portion_milli * device_mib // 1000
    return f"{_DEVICES_OF_DAEMON}={mib}M" if mib else ""


def stated(pod: Pod, limit: str, daemon: Pod | None) -> Statement:
    """What may be said of a pod that takes part. `daemon`: the reservation pod of its device; None where its node's agent is away."""
    if not limit:
        return Statement(
            "none", f"its node does not say how much memory its GPUs have (the label {fields.GPU_MEMORY_LABEL})"
        )
    if daemon is None:
        return Statement("none", "the agent of its node, which keeps the MPS daemons, is away")
    notes = daemon.metadata.annotations
    since = seconds_of(notes.get(fields.MPS_SINCE))
    if since is None:
        return Statement(
            "none", notes.get(fields.ENFORCEMENT_REASON) or "the agent of its node keeps no MPS daemon for its GPU"
        )
    began = _began(pod)
    if began is not None and began < since:
        return Statement(
            "none",
            f"its container runs since {text_of(began)}, and the MPS daemon of its GPU only since {text_of(since)}: what was "
            "started between is not held to its part. A container that starts anew is",
        )
    return Statement("memory")


def _began(pod: Pod) -> float | None:
    """Since when the container that has the GPU runs; None where it does not."""
    holder, status = holder_of(pod), pod.status
    found = (s for s in (*status.init_container_statuses, *status.container_statuses) if s.name == holder)
    return next((_since(s) for s in found), None)


def _since(status: ContainerStatus) -> float | None:
    return seconds_of(str((status.state.running or {}).get("startedAt") or "")) if status.state.running else None


def _holders(pod: Pod) -> tuple[Container, ...]:
    holder = holder_of(pod)
    return tuple(c for c in (*pod.spec.init_containers, *pod.spec.containers) if c.name == holder)


def _client(container: Container) -> Container:
    names = {variable.name for variable in TOLD}
    mounts = (
        VolumeMount(name=NAME, mount_path=DIRECTORY),
        VolumeMount(name=NAME, mount_path=_SHM, sub_path=SHARED_MEMORY),
    )
    return replace(
        container,
        env=(*(e for e in container.env if e.name not in names), *TOLD),
        volume_mounts=(*container.volume_mounts, *mounts),
    )
