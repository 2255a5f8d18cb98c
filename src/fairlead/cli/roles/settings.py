"""What the processes of a cluster are told: one tree, one file for all of them, each reads its own section."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from fairlead.runtime.settings import Settings


class SchedulerSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The scheduler."""

    names: tuple[str, ...] = ("fairlead",)
    """Names by which pods ask for it; controllers and admission go by them too."""
    mode: Literal["act", "shadow"] = "act"
    """`shadow`: decides beside another scheduler, does nothing, and tells in its log and metrics what it would have done."""
    explain_port: int = 8082
    """Where it tells the agent why work waits; 0 for a free one."""
    explain_for: tuple[str, ...] = ("system:serviceaccount:fairlead:fairlead-agent",)
    """Users of the Kubernetes API that it tells."""


class ControllersSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The controllers."""

    create_namespaces: bool = True
    """Whether they make the namespaces of projects; else whoever runs the cluster does, and projects wait for theirs."""
    webhooks: bool = True
    """Whether they keep the certificate of the admission webhooks."""
    webhook_names: tuple[str, ...] = ()
    """Further names or addresses the API server calls admission by, beside its service."""
    daily: bool = False
    """Whether they check the cluster's prerequisites every day and look at the product's parts, and tell it in ClusterConfig."""
    daily_settle_seconds: float = 300.0
    """Until the first check after a start, at the latest: where the parts are ready, it is made then."""
    daily_every_seconds: float = 86_400.0
    """Between checks of the prerequisites."""
    daily_look_seconds: float = 30.0
    """Between looks at the product's parts."""
    daily_patience_seconds: float = 120.0
    """A part of the product that is not ready for less is starting."""


class ReservationSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Reservation pods: each holds one device for the pods that share it."""

    namespace: str = "fairlead-reservation"
    """Where they are; people have no business there."""
    foreign_namespaces: tuple[str, ...] = ("kai-resource-reservation", "runai-reservation")
    """Where those of other schedulers are, whose devices are shared on while work moves over."""
    image: str = ""
    """What they run: an image that does nothing for ever; empty: no GPU can be shared."""
    command: tuple[str, ...] = ()
    """Empty for what the image does by itself."""
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    priority_class: str = "system-cluster-critical"
    """So that a node under pressure ends others first: a device whose reservation ended takes its pods with it."""
    timeout_seconds: float = 60.0
    """Within this the node tells which device it gave; then the pods that wait for it are tried elsewhere."""


class MpsSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """NVIDIA's MPS, by which CUDA refuses memory above a pod's part of a device."""

    pods: Literal["off", "asked", "all"] = "off"
    """Whose memory is enforced: nobody's; that of pods with the annotation `mps: "true"`; that of all which share one GPU, unless
    they say `mps: "false"`."""
    program: str = "nvidia-cuda-mps-control"
    """NVIDIA's control program, as the node agent finds it: a path, or a name in PATH."""
    node_namespace: str = "fairlead-node"
    """Where the node agents are: where one is away, nothing is promised of its daemons."""


class NodeSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The agent of a node with GPUs."""

    name: str = ""
    """The node it is on."""
    socket: str = "/var/lib/kubelet/pod-resources/kubelet.sock"
    """Where the kubelet tells which devices it gave to which pod."""


class AdmissionSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Admission."""

    certificates: str = "/etc/fairlead/webhook"
    """Folder with `tls.crt` and `tls.key`."""
    host: str = "0.0.0.0"  # a pod is reached on the address it was given
    port: int = 8443
    trusted: tuple[str, ...] = ("system:serviceaccount:fairlead:",)
    """User names of the product itself, or what they begin with."""
    gpu_runtime_class: str = ""
    """Runtime class of pods in projects that ask for GPUs and name none; empty for the nodes' usual runtime."""
    default_storage_class: str = ""
    """Storage class of volume claims in projects that name none; empty for what the cluster does with them."""
    storage_classes: tuple[str, ...] = ()
    """Storage classes that volume claims in projects may name; empty for all."""


class AgentSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The connection to the control plane."""

    url: str = ""
    """Address of the control plane, such as https://fairlead.example.com."""
    cluster: str = ""
    """Id of this cluster there."""
    secret_file: str = "/etc/fairlead/agent/secret"
    """File with the secret that was given out with the id."""
    ca_file: str = ""
    """Authorities (PEM) one of which signed the control plane's certificate, or that of a proxy which opens TLS, beside those
    the system trusts."""
    proxy: str = ""
    """HTTP proxy to go through, http://HOST:PORT; empty for HTTPS_PROXY of the environment."""
    proxy_credentials_file: str = "/etc/fairlead/agent/proxy-credentials"
    """File with USER:PASSWORD for the proxy; where it is not there, the proxy wants none."""
    no_proxy: str = ""
    """Reached without the proxy: names and what is below them, addresses, ranges such as 10.0.0.0/8, `*`; each but ranges also with
    :PORT; separated by commas. Empty for NO_PROXY of the environment."""
    transport: Literal["auto", "websocket", "poll"] = "auto"
    """How links to the control plane are made: websocket; poll, by requests that wait; auto, the latter for an hour where the former do
    not get through."""
    token_file: str = "/var/run/secrets/fairlead/token"
    """Service account token by which the scheduler knows the agent."""


class GroupRoleSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A role that a group of the provider has."""

    group: str
    role: str
    scope: str = "system"


class OidcSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sign-in with an external OpenID Connect provider."""

    issuer: str = ""
    """Its issuer, character by character as its document says it; empty: people sign in with accounts of this server."""
    name: str = ""
    """What the sign-in page calls it; empty for its host."""
    client_id: str = ""
    """Id of this application there. Its redirect address there is PUBLIC-URL/oidc/callback."""
    client_secret_file: str = ""
    """File with the secret of this application; empty where it has none."""
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    """What is asked for; providers that tell groups only when asked have a scope for them, most often `groups`."""
    username_claim: str = "preferred_username"
    """What people are called here, taken at their first sign-in. `email` has to be a verified one."""
    groups_claim: str = "groups"
    """Where the provider tells somebody's groups."""
    group_roles: tuple[GroupRoleSettings, ...] = ()
    """Roles by group, each `{group, role, scope}`; role: administrator, researcher, viewer; scope: `system` (where none is said),
    `cluster/NAME`, `department/CLUSTER/NAME`, `project/CLUSTER/NAME`. In the file only."""
    ca_file: str = ""
    """Authorities (PEM) one of which signed the provider's certificate, beside those the system trusts."""
    proxy: str = ""
    """HTTP proxy to go through, http://HOST:PORT; empty for HTTPS_PROXY of the environment."""
    proxy_credentials_file: str = ""
    """File with USER:PASSWORD for the proxy; empty, or not there, where it wants none."""
    no_proxy: str = ""
    """Reached without the proxy, as in `agent.noProxy`. Empty for NO_PROXY of the environment."""


class ServerSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The control plane."""

    database_url: str = ""
    """`postgresql+asyncpg://USER:PASSWORD@HOST/DATABASE`, or `sqlite+aiosqlite:////FILE`."""
    host: str = "0.0.0.0"  # a pod is reached on the address it was given
    port: int = 8470
    public_url: str = ""
    """Address people use."""
    signing_key_file: str = "/etc/fairlead/server/signing-key"
    """File with at least 32 bytes in hexadecimal digits; signs tokens."""
    admin_password_file: str = "/etc/fairlead/server/admin-password"
    """File with the password of the local administrator."""
    tls_cert: str = ""
    tls_key: str = ""
    oidc: OidcSettings = OidcSettings()


class RoleTree(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All sections."""

    scheduler: SchedulerSettings = SchedulerSettings()
    controllers: ControllersSettings = ControllersSettings()
    reservation: ReservationSettings = ReservationSettings()
    mps: MpsSettings = MpsSettings()
    node: NodeSettings = NodeSettings()
    admission: AdmissionSettings = AdmissionSettings()
    agent: AgentSettings = AgentSettings()
    server: ServerSettings = ServerSettings()
