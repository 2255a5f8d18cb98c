"""Messages on the one connection between a cluster's agent and the control plane.

The agent dials; both sides then send frames as JSON text, one frame a WebSocket message. Level-triggered: each side keeps the
last revision it has seen and, after a reconnect, sends what the other lacks. Truth: organisation (departments, projects, node
pools) lives in the control plane and is pushed down; workloads belong to the cluster once the agent has `Applied` them.

    agent -> control plane   Hello, Applied, Observed
    control plane -> agent   Welcome, Desired, Received, Open

Logs, shells and explanations travel on a further WebSocket per channel, dialled by the agent after `Open`.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

PROTOCOL_VERSION = 1
CONTROL_PATH = "/api/agent/v1/connect"
CHANNEL_PATH = "/api/agent/v1/channel"
REFUSED = 4403
"""Close code: not this cluster's secret, or another cluster than before; trying again will not help."""

Json: TypeAlias = Any
"""Any JSON value; validated where it is turned into a typed object."""


class Frame(Struct, frozen=True, kw_only=True, tag=True, tag_field="frame", omit_defaults=True):
    """Base of every message; the class name travels as `frame`."""


class Row(Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True, tag_field="row"):
    """Base of what a cluster reports: one row of a list page. `key` is unique within the rows of its class."""

    @property
    def key(self) -> str:
        """Identity of the row within its class."""
        raise AttributeError(type(self).__name__)


class ReasonText(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why something waits, rendered. `code` is stable; `message` is a sentence; `details` holds the amounts."""

    code: str
    message: str
    details: dict[str, Json] = {}


class HistoryEntry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a workload's history. `time`: seconds since the epoch."""

    time: float
    type: str
    message: str


class WorkloadRow(Row, frozen=True, kw_only=True):
    """A workload as the cluster sees it. Amounts: GPU 1/1000 device, CPU 1/1000 core, memory bytes; times: seconds since the epoch."""

    id: str
    kind: str
    namespace: str
    name: str
    uid: str = ""
    phase: str = "Creating"
    message: str = ""
    reasons: tuple[ReasonText, ...] = ()
    created: float = 0.0
    started: float | None = None
    completed: float | None = None
    phase_since: float = 0.0
    running_pods: int = 0
    requested_pods: int = 1
    requested_gpu_milli: int = 0
    """0 where memory is asked instead: what part that is depends on the device it gets."""
    requested_gpu_memory_mib: int = 0
    allocated_gpu_milli: int = 0
    requested_cpu_milli: int = 0
    requested_memory_bytes: int = 0
    nodes: tuple[str, ...] = ()
    image: str = ""
    priority_class: str = "train"
    priority: int = 50
    preemptible: bool = True
    borrowed_gpu_milli: int = 0
    queued: float = 0.0
    """Since when a pod of it waits for a place; 0 where none does."""
    queued_as: str = ""
    """UID of that pod: the order among those that wait since the same second."""
    evictions: int = 0
    next_try: float | None = None
    """When it is tried again after a failure; None where it is not waiting for that."""
    exit_code: int | None = None
    submitted_by: str = ""
    suspended: bool = False
    simulated: bool = False
    pool: str = ""
    history: tuple[HistoryEntry, ...] = ()

    @property
    def key(self) -> str:
        return self.id


class PodRow(Row, frozen=True, kw_only=True):
    """A pod of a workload. `devices` are indices on the node; `enforcement` is `none`, `memory` or `hardware`.

    A pod that asks for device memory has it in `gpu_memory_mib`, and the part of its devices in `gpu_milli` once it is placed.
    """

    uid: str
    workload: str
    namespace: str
    name: str
    phase: str = "Pending"
    node: str = ""
    gpu_milli: int = 0
    gpu_memory_mib: int = 0
    rank: int = 0
    attempt: int = 0
    devices: tuple[int, ...] = ()
    enforcement: str = "none"
    enforcement_reason: str = ""
    """Why memory is not enforced though it was asked for."""
    message: str = ""
    exit_code: int | None = None
    created: float = 0.0
    started: float | None = None
    completed: float | None = None
    cpu_milli: int = 0
    memory_bytes: int = 0

    @property
    def key(self) -> str:
        return self.uid


class Holder(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who holds a part of a device."""

    workload: str
    workload_name: str
    project: str
    pod: str
    milli: int


class DeviceRow(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One GPU of a node and who holds it."""

    index: int
    uuid: str = ""
    model: str = ""
    memory_mib: int = 0
    healthy: bool = True
    used_milli: int = 0
    holders: tuple[Holder, ...] = ()


class NodeRow(Row, frozen=True, kw_only=True):
    """A node with its devices. `simulated` is said wherever the node is shown."""

    name: str
    uid: str = ""
    ready: bool = True
    schedulable: bool = True
    reason: str = ""
    pool: str = "default"
    simulated: bool = False
    runtime: str = ""
    version: str = ""
    created: float = 0.0
    cpu_milli: int = 0
    cpu_used_milli: int = 0
    memory_bytes: int = 0
    memory_used_bytes: int = 0
    gpus: tuple[DeviceRow, ...] = ()
    labels: dict[str, str] = {}
    taints: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return self.name


class QueueRow(Row, frozen=True, kw_only=True):
    """A department or project with what it may use and uses, in 1/1000 GPU, 1/1000 core and bytes; -1 = unlimited.

    `simulated`: the GPUs of its cluster do not exist.
    """

    name: str
    kind: str = "project"
    parent: str = ""
    pool: str = "default"
    deserved: tuple[int, int, int] = (0, 0, 0)
    limit: tuple[int, int, int] = (-1, -1, -1)
    weight: tuple[float, float, float] = (1.0, 1.0, 1.0)
    fair_share: tuple[int, int, int] = (0, 0, 0)
    allocated: tuple[int, int, int] = (0, 0, 0)
    allocated_non_preemptible: tuple[int, int, int] = (0, 0, 0)
    requested: tuple[int, int, int] = (0, 0, 0)
    simulated: bool = False

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.pool}/{self.name}"


AnyRow: TypeAlias = WorkloadRow | PodRow | NodeRow | QueueRow
ROW_TYPES: tuple[type[Row], ...] = (WorkloadRow, PodRow, NodeRow, QueueRow)


class Gone(Struct, frozen=True, kw_only=True):
    """A row that is no more: class name and key."""

    row: str
    key: str


class ClusterCondition(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One condition of a cluster: `Prerequisites`, `ServicesReady`. `since`: seconds since the epoch."""

    type: str
    status: str = "Unknown"
    reason: str = ""
    message: str = ""
    since: float | None = None


class ClusterFinding(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a daily check found that is no pass. `since`: seconds since the epoch."""

    code: str
    verdict: str
    counts: str = ""
    """What it is for the whole: an accepted risk is a warning."""
    seen: str = ""
    remedy: str = ""
    accepted: str = ""
    nodes: tuple[str, ...] = ()
    since: float | None = None


class ClusterHealth(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a cluster stands, by its own ClusterConfig; empty where it says nothing. Times: seconds since the epoch."""

    conditions: tuple[ClusterCondition, ...] = ()
    findings: tuple[ClusterFinding, ...] = ()
    checked: float | None = None
    news: tuple[str, ...] = ()
    """What is other than at the check before."""
    news_since: float | None = None


class Hello(Frame, frozen=True, kw_only=True):
    """First frame of the agent. `kube_uid` is the UID of the namespace kube-system: a copied cluster secret is found by it."""

    protocol: int = PROTOCOL_VERSION
    cluster: str
    kube_uid: str
    version: str
    kubernetes: str = ""
    applied: int = 0
    connection: str = ""
    """A word for this connection: grants given on it hold it, and are good for no other."""


class Welcome(Frame, frozen=True, kw_only=True):
    """First frame of the control plane. `grant_key`: its public key (JSON Web Key), by which its grants are known."""

    grant_key: dict[str, Json]


class DesiredObject(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One object the cluster should have. `object` is None where it should be gone.

    `id`: which workload of that name is meant; empty for other kinds.
    """

    kind: str
    name: str
    namespace: str = ""
    id: str = ""
    revision: int = 0
    object: Json = None


class Desired(Frame, frozen=True, kw_only=True):
    """What should be, up to `revision`. `full`: organisation objects not named here are to be removed."""

    revision: int
    objects: tuple[DesiredObject, ...] = ()
    full: bool = False


class ApplyError(Struct, frozen=True, kw_only=True):
    """An object the cluster refused, with its own words."""

    kind: str
    namespace: str
    name: str
    code: str
    message: str


class Applied(Frame, frozen=True, kw_only=True):
    """Everything up to `revision` was tried; `errors` are the refusals."""

    revision: int
    errors: tuple[ApplyError, ...] = ()


class Observed(Frame, frozen=True, kw_only=True):
    """What is. `full`: rows not named are gone. `seq` counts frames of this connection."""

    seq: int
    rows: tuple[AnyRow, ...] = ()
    gone: tuple[Gone, ...] = ()
    full: bool = False
    health: ClusterHealth | None = None
    """How the cluster stands; None where that is as it was. A control plane that does not know it reads on."""


class Received(Frame, frozen=True, kw_only=True):
    """The control plane has stored `Observed` up to `seq`."""

    seq: int


class Open(Frame, frozen=True, kw_only=True):
    """Asks the agent to dial `CHANNEL_PATH/{channel}` with `grant` (see `wire/grants.py`) and serve `kind` there."""

    channel: str
    grant: str
    kind: Literal["logs", "exec", "explain", "port-forward", "cordon", "uncordon"]
    namespace: str
    name: str
    """Pod for logs, exec and port-forward; workload for explain; node for cordon and uncordon, which answer nothing once it is done."""
    container: str = ""
    command: tuple[str, ...] = ()
    follow: bool = False
    tail: int | None = None
    previous: bool = False
    """The log of the pod of that name that was there before."""
    port: int = 0


DATA: Final = b"\x02"
NO_MORE: Final = b"\x03"
"""On a channel of port-forward the agent's messages begin with `DATA`, or are `NO_MORE`: the pod has said all. Of whoever asked, an empty
message says so."""

AgentFrame: TypeAlias = Hello | Applied | Observed
ServerFrame: TypeAlias = Welcome | Desired | Received | Open

_encoder = msgspec.json.Encoder()
_agent_decoder: msgspec.json.Decoder[AgentFrame] = msgspec.json.Decoder(AgentFrame)
_server_decoder: msgspec.json.Decoder[ServerFrame] = msgspec.json.Decoder(ServerFrame)


def encode(frame: Frame) -> str:
    """The frame as one JSON text."""
    return _encoder.encode(frame).decode()


def decode_from_agent(text: str | bytes) -> AgentFrame:
    """A frame sent by an agent. Raises: msgspec.ValidationError naming the field."""
    return _agent_decoder.decode(text)


def decode_from_server(text: str | bytes) -> ServerFrame:
    """A frame sent by the control plane. Raises: msgspec.ValidationError naming the field."""
    return _server_decoder.decode(text)
