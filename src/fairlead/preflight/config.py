"""`fairlead.yaml`: the one file that preflight and install read. Each key says what it means, which value of the chart it sets, and which
checks look at it; `fairlead config explain` and the reference page are made from that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct, field

import fairlead
from fairlead.preflight.reading import document_of, nearest
from fairlead.runtime.errors import Invalid


def _key(meaning: str, *, value: str = "", checks: str = "") -> Meta:
    return Meta(description=meaning, extra={"value": value, "checks": tuple(checks.split())})


Switch = Literal["auto", "on", "off", "true", "false"] | bool


class ControlPlane(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The control plane."""

    url: Annotated[
        str,
        _key(
            "Address of the control plane; empty: the cluster works without one.",
            value="agent.url",
            checks="egress-control-plane control-plane",
        ),
    ] = "https://app.fairlead.example"
    cluster: Annotated[str, _key("Id of this cluster there.", value="agent.cluster", checks="control-plane")] = ""
    token_secret: Annotated[
        str,
        _key("Secret with the cluster's secret under the key `secret`.", value="agent.existingSecret"),
    ] = ""
    server_secret: Annotated[
        str,
        _key(
            "Secret with the keys database-url, signing-key and admin-password: the control plane is installed here; empty: it is not.",
            value="server.existingSecret",
        ),
    ] = ""


class Registry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where images come from."""

    host: Annotated[
        str,
        _key(
            "Registry of the product's images: HOST, HOST:PORT, or either with /PATH in front of the names of images.",
            value="image.repository",
            checks="registry-pull egress-product-images local-images node-architecture",
        ),
    ] = "registry.fairlead.example"
    mirrors: Annotated[
        tuple[str, ...],
        _key(
            "Registries that hold copies of all images, written as `registry.host`: the chart names its images, and those that others "
            "make, in the first of them, so nodes pull from there alone. Mirrors of the nodes' own runtimes need not stand here.",
            value="image.repository",
            checks="registry-pull local-images egress-product-images egress-third-party-images",
        ),
    ] = ()
    pull_secret: Annotated[
        str | None,
        _key("Secret with which images are pulled.", value="image.pullSecrets", checks="registry-pull"),
    ] = None
    local_images: Annotated[
        bool,
        _key(
            "Images are on the nodes already and are never pulled.",
            value="image.pullPolicy",
            checks="local-images registry-pull",
        ),
    ] = False


class Images(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which images."""

    tag: Annotated[str, _key("Tag of the product's images; empty for the program's version.", value="image.tag")] = ""
    digest: Annotated[str, _key("Digest, instead of a tag.", value="image.digest")] = ""
    sample: Annotated[
        str, _key("An image of yours that is started under the rules of a project.", checks="user-images")
    ] = ""


class Proxy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The way out."""

    http: Annotated[
        str,
        _key(
            "Proxy for http addresses, http://HOST:PORT; user and password: `proxy.credentials_secret`.", checks="proxy"
        ),
    ] = ""
    https: Annotated[
        str,
        _key(
            "Proxy for https addresses, http://HOST:PORT; user and password: `proxy.credentials_secret`.",
            value="agent.proxy",
            checks="proxy egress-*",
        ),
    ] = ""
    no_proxy: Annotated[
        str,
        _key(
            "Reached without it: names and what is below them, addresses, ranges, `*`, separated by commas.",
            value="agent.noProxy",
            checks="proxy egress-*",
        ),
    ] = ""
    credentials_secret: Annotated[
        str,
        _key("Secret with USER:PASSWORD under the key `proxy-credentials`.", value="agent.existingSecret"),
    ] = ""


class Prometheus(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Metrics."""

    mode: Annotated[
        Literal["bundled", "existing", "operator", "none"],
        _key(
            "bundled: the product brings one; existing: yours, found at `url`; operator: yours, run by its operator; none: no metrics.",
            value="prometheus.mode",
            checks="prometheus node-exporter kube-state-metrics gpu-metrics",
        ),
    ] = "bundled"
    url: Annotated[str, _key("Address of an existing Prometheus.", checks="prometheus")] = ""
    token_secret: Annotated[str | None, _key("Secret with the token to ask it with.", checks="prometheus")] = None
    labels: Annotated[
        dict[str, str],
        _key(
            "Labels that its selectors want on our ServiceMonitors.",
            value="prometheus.operator.labels",
            checks="prometheus",
        ),
    ] = field(default_factory=dict)
    namespace: Annotated[
        str,
        _key(
            "Namespace of our ServiceMonitors, where the Prometheus looks for them; empty: the product's.",
            value="prometheus.operator.namespace",
            checks="prometheus",
        ),
    ] = ""


class RemoteWrite(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where metrics are sent to."""

    url: Annotated[
        str,
        _key(
            "Address that takes Prometheus remote write; empty: none.",
            value="remoteWrite.url",
            checks="remote-write egress-metrics",
        ),
    ] = ""
    token_secret: Annotated[
        str | None,
        _key(
            "Secret with the token for it, under the key `token`.",
            value="remoteWrite.existingSecret",
            checks="remote-write",
        ),
    ] = None


class Oidc(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sign-in."""

    issuer: Annotated[
        str,
        _key(
            "Issuer of an external provider, character by character as its document says it; empty: people sign in here.",
            value="server.oidc.issuer",
            checks="oidc-provider egress-sign-in",
        ),
    ] = ""
    client_id: Annotated[
        str, _key("Id of this application there.", value="server.oidc.clientId", checks="oidc-provider")
    ] = ""
    client_secret: Annotated[
        str,
        _key("Secret with the application's password.", value="server.oidc.existingSecret", checks="oidc-provider"),
    ] = ""


class Storage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Volumes."""

    class_: Annotated[
        str,
        _key(
            "Storage class of the product's own data; empty for the default.",
            value="prometheus.storage.className",
            checks="storage-class system-volume",
        ),
    ] = field(default="", name="class")
    shared_class: Annotated[
        str, _key("Storage class of the data that everybody reads and writes from any node.", checks="shared-volume")
    ] = ""
    shared_claim: Annotated[str, _key("A claim that is there already, instead.", checks="shared-volume")] = ""
    nfs: Annotated[str, _key("An NFS export SERVER:/PATH, instead.", checks="shared-volume")] = ""
    external_database: Annotated[
        bool, _key("The control plane's data is in a PostgreSQL elsewhere.", checks="storage-class system-volume")
    ] = False


class SystemNodes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nodes for the product itself."""

    label: Annotated[
        str,
        _key(
            "Label of such a node, and key of its taint: the product runs there first, and only there where `production` is true.",
            value="systemNodes.label",
            checks="system-nodes",
        ),
    ] = "node-role.kubernetes.io/fairlead-system"
    cpu: Annotated[float, _key("Cores it needs.", checks="system-nodes")] = 4
    memory_bytes: Annotated[int, _key("Memory it needs; 5 % less is enough.", checks="system-nodes")] = 8_000_000_000
    disk_bytes: Annotated[int, _key("Disk it needs; 5 % less is enough.", checks="system-nodes")] = 50_000_000_000


class Ingress(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What people's browsers reach in this cluster."""

    host: Annotated[
        str,
        _key(
            "Public name under which this cluster serves a control plane or workspaces; empty: it serves none.",
            value="server.ingress.host",
            checks="ingress certificates",
        ),
    ] = ""
    class_: Annotated[
        str, _key("IngressClass; empty for the default.", value="server.ingress.className", checks="ingress")
    ] = field(default="", name="class")
    tls_secret: Annotated[
        str, _key("Secret with certificate and key.", value="server.ingress.tlsSecret", checks="certificates")
    ] = ""
    service: Annotated[
        Literal["ClusterIP", "NodePort", "LoadBalancer"],
        _key(
            "Type of the Service behind it; the others open a port of nodes.",
            value="server.service.type",
            checks="inbound",
        ),
    ] = "ClusterIP"


class Egress(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hosts outside that nothing else in this file names."""

    charts: Annotated[
        str,
        _key(
            "Host of the chart, oci://HOST/PATH, or the https address of an archive; empty: it is not fetched. "
            "`fairlead install` judges what it will use: its own chart, or that of --chart.",
            checks="egress-charts",
        ),
    ] = "charts.fairlead.example"
    third_party: Annotated[
        tuple[str, ...],
        _key("Registries of images that others make.", checks="egress-third-party-images"),
    ] = ("quay.io",)
    nodes: Annotated[
        str, _key("Addresses of the nodes as a firewall sees them, for the request that is printed.", checks="egress-*")
    ] = ""


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of `fairlead.yaml`."""

    namespace: Annotated[str, _key("Namespace of the product.", checks="pod-security admission leftovers")] = "fairlead"
    production: Annotated[
        bool,
        _key(
            "People depend on it: nodes of its own, storage that moves.",
            value="systemNodes.required",
            checks="system-nodes control-plane-nodes",
        ),
    ] = False
    air_gap: Annotated[
        bool, _key("Nothing outside is reached: everything comes from your registry.", checks="egress-* local-images")
    ] = False
    ca_bundle: Annotated[
        str | None,
        _key(
            "Path of a file of authorities (PEM) that the product trusts besides the usual ones, or the certificates themselves.",
            value="agent.ca",
            checks="certificates",
        ),
    ] = None
    openshift: Annotated[
        Switch, _key("Whether it is OpenShift; auto looks.", value="openshift.enabled", checks="openshift-version")
    ] = "auto"
    create_namespaces: Annotated[
        bool,
        _key(
            "Whether the product makes namespaces, those of projects and those of its agents on nodes; false: administrators do.",
            value="projects.createNamespaces",
            checks="leftovers",
        ),
    ] = True
    pod_security_policy: Annotated[
        Switch,
        _key(
            "Whether PodSecurityPolicies are made; auto: where the cluster has the kind.",
            value="podSecurityPolicy.enabled",
            checks="pod-security",
        ),
    ] = field(default="auto", name="podSecurityPolicy")
    queue_definitions: Annotated[
        Literal["", "adopt", "stop", "coexist"],
        _key(
            "What to do where others brought the kinds of scheduling.run.ai. adopt: pods that name kai-scheduler or runai-scheduler are "
            "placed by us too; stop what placed them. coexist: each places the pods that name it. stop: nothing is installed.",
            value="schedulerNames",
            checks="leftovers",
        ),
    ] = ""
    control_plane: ControlPlane = ControlPlane()
    registry: Registry = Registry()
    images: Images = Images()
    proxy: Proxy = Proxy()
    prometheus: Prometheus = Prometheus()
    remote_write: RemoteWrite = RemoteWrite()
    oidc: Oidc = Oidc()
    storage: Storage = Storage()
    system_nodes: SystemNodes = SystemNodes()
    ingress: Ingress = Ingress()
    egress: Egress = Egress()
    accept: Annotated[
        dict[str, str], _key("Risks taken: code of a check, and the reason. The report names them.", checks="")
    ] = field(default_factory=dict)


@dataclass(frozen=True)
class ConfigKey:
    """One key for people: `values` it may have where they are fixed."""

    path: str
    default: Any
    meaning: str
    value: str
    checks: tuple[str, ...]
    values: tuple[str, ...]


PROMETHEUS_TAG: Final = "v2.53.4"
"""Of the Prometheus that the chart brings, by the chart's own value."""


def is_on(said: Switch) -> bool:
    """Whether a switch is on, in whichever spelling."""
    return str(said).lower() in ("on", "true")


def is_off(said: Switch) -> bool:
    """Whether a switch is off, in whichever spelling."""
    return str(said).lower() in ("off", "false")


def keeps_data(config: Config) -> bool:
    """Whether the product has a volume in the cluster: of the Prometheus that it brings, or of the control plane."""
    own = bool(config.control_plane.server_secret) and not config.storage.external_database
    return own or config.prometheus.mode == "bundled"


def image_home(config: Config) -> str:
    """The registry that nodes pull from, with the path in front of the names of images."""
    return config.registry.mirrors[0] if config.registry.mirrors else config.registry.host


def images_inside(config: Config) -> tuple[str, ...]:
    """The images that nodes must have where nothing is pulled."""
    tag = f"@{config.images.digest}" if config.images.digest else f":{config.images.tag or fairlead.__version__}"
    brought = (f"{image_home(config)}/prometheus:{PROMETHEUS_TAG}",) if config.prometheus.mode == "bundled" else ()
    return (f"{image_repository(config)}{tag}", *brought)


def image_repository(config: Config) -> str:
    """Where the product's image is, without tag or digest."""
    return f"{image_home(config)}/fairlead"


def config_from(text: str, name: str = "fairlead.yaml") -> Config:
    """The configuration in a text of YAML. Raises: Invalid naming every key nobody knows, or the value of another sort."""
    return config_of(document_of(text, name), name)


def config_of(document: Mapping[str, Any], name: str = "fairlead.yaml") -> Config:
    """The configuration of a document that is read already. Raises: Invalid."""
    if unknown := list(_unknown(document, Config, "")):
        raise Invalid(
            f"{name}: " + "; ".join(unknown) + ".", hint="`fairlead config explain` lists all keys.", code="config"
        )
    try:
        config = msgspec.convert(_without_empty_sections(document), Config)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        explain = "`fairlead config explain KEY` says what may stand there."
        raise Invalid(
            f"{name}: {where.rstrip('`') or 'the file'}: {what}.",
            hint="Write true or false." if "Expected `bool`" in what else explain,
            code="config",
        ) from error
    _refuse_passwords(config, name)
    return config


def _refuse_passwords(config: Config, name: str) -> None:
    """The configuration is kept in the cluster and printed, where many may read it. Raises: Invalid, without the password."""
    addresses = (
        ("control_plane.url", config.control_plane.url, "control_plane.token_secret"),
        ("prometheus.url", config.prometheus.url, "prometheus.token_secret"),
        ("remote_write.url", config.remote_write.url, "remote_write.token_secret"),
        ("oidc.issuer", config.oidc.issuer, "oidc.client_secret"),
        ("registry.host", config.registry.host, "registry.pull_secret"),
        *(("registry.mirrors", mirror, "registry.pull_secret") for mirror in config.registry.mirrors),
    )
    for key, address, secret in addresses:
        if without_user(address) != address:
            raise Invalid(
                f"{name}: {key} holds a user or a password, and this file is kept in the cluster for many to read.",
                hint=f"Take it out, put it into a Secret in the namespace {config.namespace}, and name that in {secret}.",
                code="config",
            )
    for key, address in (("proxy.http", config.proxy.http), ("proxy.https", config.proxy.https)):
        if "@" in without_user(address):
            raise Invalid(
                f"{name}: {key} is no address of a proxy.",
                hint="Expected http://HOST:PORT; user and password: proxy.credentials_secret.",
                code="config",
            )


def without_user(address: str) -> str:
    """The address without user and password."""
    scheme, sign, rest = address.rpartition("://")
    place, slash, path = rest.partition("/")
    return f"{scheme}{sign}{place.rpartition('@')[2]}{slash}{path}"


def config_keys() -> tuple[ConfigKey, ...]:
    """All keys, in the order of the file."""
    return tuple(_keys(Config, ""))


def _keys(section: type[Struct], path: str) -> Iterator[ConfigKey]:
    hints = get_type_hints(section, include_extras=True)
    for each in msgspec.structs.fields(section):
        here = f"{path}{each.encode_name}"
        if isinstance(each.type, type) and issubclass(each.type, Struct):
            yield from _keys(each.type, f"{here}.")
            continue
        meta = next(m for m in get_args(hints[each.name]) if isinstance(m, Meta))
        extra = meta.extra or {}
        default = each.default if each.default is not msgspec.NODEFAULT else each.default_factory()
        yield ConfigKey(here, default, meta.description or "", extra["value"], extra["checks"], _literals(each.type))


def _literals(type_: Any) -> tuple[str, ...]:
    if get_origin(type_) is Annotated:
        return _literals(get_args(type_)[0])
    if get_origin(type_) is Literal:
        return tuple(str(value) for value in get_args(type_))
    return tuple(value for inner in get_args(type_) for value in _literals(inner))


def _unknown(document: Mapping[str, Any], section: type[Struct], path: str) -> Iterator[str]:
    fields = {each.encode_name: each.type for each in msgspec.structs.fields(section)}
    for key, value in document.items():
        here, type_ = f"{path}{key}", fields.get(key)
        if type_ is None:
            yield f"unknown key {here}{nearest(key, [*fields])}"
        elif isinstance(type_, type) and issubclass(type_, Struct) and isinstance(value, Mapping):
            yield from _unknown(value, type_, f"{here}.")


def _without_empty_sections(document: Mapping[str, Any]) -> dict[str, Any]:
    """A section whose keys are all commented out is null in YAML."""
    sections: Final = {
        f.encode_name for f in msgspec.structs.fields(Config) if isinstance(f.type, type) and issubclass(f.type, Struct)
    }
    return {key: value for key, value in document.items() if not (value is None and key in sections)}
