"""The table of kinds: where each is found in the API, what it is called and which type decodes it."""

from __future__ import annotations

from typing import Any, Final, Generic, TypeVar

from msgspec import Struct

from fairlead.objects import builtin, kai, organisation, workload
from fairlead.objects.json import JsonObject
from fairlead.objects.meta import Object
from fairlead.objects.pod import Pod

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

FAIRLEAD_GROUP: Final = "fairlead.dev"
FAIRLEAD_VERSION: Final = "v1alpha1"
SCHEDULING_GROUP: Final = "scheduling.run.ai"


class Kind(Struct, Generic[T_co], frozen=True, kw_only=True):
    """One kind of object. `type` decodes it: a struct, or `dict` for kinds whose fields we do not name."""

    type: type[T_co]
    kind: str
    plural: str
    group: str = ""
    version: str = "v1"
    older: tuple[str, ...] = ()
    """Versions with the same fields, for servers without that one."""
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    has_status: bool = False

    @property
    def api_version(self) -> str:
        """Give `group/version`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def root(self) -> str:
        """Give the path below which the API serves this kind's group and version."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    @property
    def resource(self) -> str:
        """Give `plural.group`, the name by which custom resource definitions and messages call it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, name: str = "", namespace: str = "", subresource: str = "") -> str:
        """Give the path of a collection (no name), an object or a subresource of it."""
        inside = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        tail = "".join(f"/{part}" for part in (name, subresource) if part)
        return f"{self.root}{inside}/{self.plural}{tail}"


def _foreign(group: str, version: str, kind: str, plural: str, *, short: tuple[str, ...] = ()) -> Kind[JsonObject]:
    return Kind(
        type=dict, group=group, version=version, kind=kind, plural=plural, short_names=short, has_status=group != RBAC
    )


def _cluster(group: str, kind: str, plural: str, *, short: tuple[str, ...] = ()) -> Kind[JsonObject]:
    return Kind(type=dict, group=group, kind=kind, plural=plural, short_names=short, namespaced=False)


def _ours(type_: type[T], plural: str, *, namespaced: bool = False, short: tuple[str, ...] = ()) -> Kind[T]:
    return Kind(
        type=type_,
        group=FAIRLEAD_GROUP,
        version=FAIRLEAD_VERSION,
        kind=type_.__name__,
        plural=plural,
        namespaced=namespaced,
        short_names=short,
        has_status=True,
    )


RBAC: Final = "rbac.authorization.k8s.io"

POD: Final = Kind(type=Pod, kind="Pod", plural="pods", short_names=("po",), has_status=True)
NODE: Final = Kind(
    type=builtin.Node, kind="Node", plural="nodes", namespaced=False, short_names=("no",), has_status=True
)
NAMESPACE: Final = Kind(
    type=builtin.Namespace,
    kind="Namespace",
    plural="namespaces",
    namespaced=False,
    short_names=("ns",),
    has_status=True,
)
EVENT: Final = Kind(type=builtin.Event, kind="Event", plural="events", short_names=("ev",))
SERVICE: Final = Kind(type=builtin.Service, kind="Service", plural="services", short_names=("svc",), has_status=True)
SECRET: Final = Kind(type=builtin.Secret, kind="Secret", plural="secrets")
CONFIG_MAP: Final = Kind(type=builtin.ConfigMap, kind="ConfigMap", plural="configmaps", short_names=("cm",))
SERVICE_ACCOUNT: Final = Kind(
    type=builtin.ServiceAccount, kind="ServiceAccount", plural="serviceaccounts", short_names=("sa",)
)
CLAIM: Final = Kind(
    type=builtin.PersistentVolumeClaim,
    kind="PersistentVolumeClaim",
    plural="persistentvolumeclaims",
    short_names=("pvc",),
    has_status=True,
)
VOLUME: Final = Kind(
    type=builtin.PersistentVolume,
    kind="PersistentVolume",
    plural="persistentvolumes",
    namespaced=False,
    short_names=("pv",),
    has_status=True,
)
LEASE: Final = Kind(type=builtin.Lease, group="coordination.k8s.io", kind="Lease", plural="leases")
JOB: Final = Kind(type=builtin.Job, group="batch", kind="Job", plural="jobs", has_status=True)
STORAGE_CLASS: Final = Kind(
    type=builtin.StorageClass,
    group="storage.k8s.io",
    kind="StorageClass",
    plural="storageclasses",
    namespaced=False,
    short_names=("sc",),
)
PRIORITY_CLASS: Final = Kind(
    type=builtin.PriorityClass,
    group="scheduling.k8s.io",
    kind="PriorityClass",
    plural="priorityclasses",
    namespaced=False,
    short_names=("pc",),
)
DISRUPTION_BUDGET: Final = Kind(
    type=builtin.PodDisruptionBudget,
    group="policy",
    older=("v1beta1",),
    kind="PodDisruptionBudget",
    plural="poddisruptionbudgets",
    short_names=("pdb",),
    has_status=True,
)
ROLE_BINDING: Final = Kind(type=builtin.RoleBinding, group=RBAC, kind="RoleBinding", plural="rolebindings")

ROLE: Final = _foreign(RBAC, "v1", "Role", "roles")
CLUSTER_ROLE: Final = _cluster(RBAC, "ClusterRole", "clusterroles")
CLUSTER_ROLE_BINDING: Final = _cluster(RBAC, "ClusterRoleBinding", "clusterrolebindings")
CUSTOM_RESOURCE_DEFINITION: Final = _cluster(
    "apiextensions.k8s.io", "CustomResourceDefinition", "customresourcedefinitions", short=("crd", "crds")
)
MUTATING_WEBHOOK: Final = _cluster(
    "admissionregistration.k8s.io", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations"
)
VALIDATING_WEBHOOK: Final = _cluster(
    "admissionregistration.k8s.io", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations"
)
DEPLOYMENT: Final = _foreign("apps", "v1", "Deployment", "deployments", short=("deploy",))
REPLICA_SET: Final = _foreign("apps", "v1", "ReplicaSet", "replicasets", short=("rs",))
STATEFUL_SET: Final = _foreign("apps", "v1", "StatefulSet", "statefulsets", short=("sts",))
DAEMON_SET: Final = _foreign("apps", "v1", "DaemonSet", "daemonsets", short=("ds",))
CRON_JOB: Final = Kind(
    type=dict,
    group="batch",
    older=("v1beta1",),
    kind="CronJob",
    plural="cronjobs",
    short_names=("cj",),
    has_status=True,
)

QUEUE: Final = Kind(
    type=kai.Queue,
    group=SCHEDULING_GROUP,
    version="v2",
    kind="Queue",
    plural="queues",
    namespaced=False,
    has_status=True,
)
POD_GROUP: Final = Kind(
    type=kai.PodGroup,
    group=SCHEDULING_GROUP,
    version="v2alpha2",
    kind="PodGroup",
    plural="podgroups",
    short_names=("pg",),
    has_status=True,
)
BIND_REQUEST: Final = Kind(
    type=kai.BindRequest,
    group=SCHEDULING_GROUP,
    version="v1alpha2",
    kind="BindRequest",
    plural="bindrequests",
    has_status=True,
)
TOPOLOGY: Final = Kind(
    type=kai.Topology,
    group="kai.scheduler",
    version="v1alpha1",
    kind="Topology",
    plural="topologies",
    namespaced=False,
)

PROJECT: Final = _ours(organisation.Project, "projects")
DEPARTMENT: Final = _ours(organisation.Department, "departments")
NODE_POOL: Final = _ours(organisation.NodePool, "nodepools")
CLUSTER_CONFIG: Final = _ours(organisation.ClusterConfig, "clusterconfigs")
NODE_REPORT: Final = Kind(
    type=organisation.NodeReport,
    group=FAIRLEAD_GROUP,
    version=FAIRLEAD_VERSION,
    kind="NodeReport",
    plural="nodereports",
    namespaced=False,
)
WORKSPACE: Final = _ours(workload.Workspace, "workspaces", namespaced=True)
TRAINING: Final = _ours(workload.Training, "trainings", namespaced=True)
DISTRIBUTED_TRAINING: Final = _ours(workload.DistributedTraining, "distributedtrainings", namespaced=True)
INFERENCE: Final = _ours(workload.Inference, "inferences", namespaced=True)

WORKLOAD_KINDS: Final = (WORKSPACE, TRAINING, DISTRIBUTED_TRAINING, INFERENCE)
"""Our kinds that stand for a researcher's work."""

CUSTOM_KINDS: Final = (
    QUEUE,
    POD_GROUP,
    BIND_REQUEST,
    TOPOLOGY,
    PROJECT,
    DEPARTMENT,
    NODE_POOL,
    NODE_REPORT,
    CLUSTER_CONFIG,
    *WORKLOAD_KINDS,
)
"""Kinds that a cluster learns from our custom resource definitions."""

BUILTIN_KINDS: Final = (
    POD,
    NODE,
    NAMESPACE,
    EVENT,
    SERVICE,
    SECRET,
    CONFIG_MAP,
    SERVICE_ACCOUNT,
    CLAIM,
    VOLUME,
    LEASE,
    JOB,
    CRON_JOB,
    DEPLOYMENT,
    REPLICA_SET,
    STATEFUL_SET,
    DAEMON_SET,
    STORAGE_CLASS,
    PRIORITY_CLASS,
    DISRUPTION_BUDGET,
    ROLE,
    ROLE_BINDING,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CUSTOM_RESOURCE_DEFINITION,
    MUTATING_WEBHOOK,
    VALIDATING_WEBHOOK,
)
"""Kinds every cluster serves."""

KINDS: Final = (*BUILTIN_KINDS, *CUSTOM_KINDS)
"""Every kind we know."""

_BY_TYPE: Final[dict[type[Any], Kind[Any]]] = {kind.type: kind for kind in KINDS if issubclass(kind.type, Object)}


def kind_of(obj: Object) -> Kind[Object]:
    """Give the table row of a typed object. Raises: KeyError when its type stands in no row."""
    return _BY_TYPE[type(obj)]


def foreign(group: str, version: str, kind: str, plural: str, *, namespaced: bool = True) -> Kind[JsonObject]:
    """Give a row for a kind outside the table, read and written as plain JSON."""
    return Kind(
        type=dict, group=group, version=version, kind=kind, plural=plural, namespaced=namespaced, has_status=True
    )
