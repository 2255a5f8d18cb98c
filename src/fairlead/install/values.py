"""`fairlead.yaml` and what was found out, as values of the chart. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from fairlead.preflight.checks.network import no_proxy
from fairlead.preflight.checks.ways import host_and_port, is_proxied, proxy_of
from fairlead.preflight.config import Config, Switch, image_home, image_repository, is_off, is_on, without_user
from fairlead.preflight.facts import Facts
from fairlead.runtime.errors import Invalid

Values = dict[str, Any]

_ADOPTED: Final = ("fairlead", "kai-scheduler", "runai-scheduler")
"""Schedulers that pods name which are placed by us where the work of others is taken over."""


def values_of(config: Config, facts: Facts, ca: str = "") -> Values:
    """The values. `ca`: the authorities that `ca_bundle` names, PEM.

    Raises: Invalid where keys of the configuration contradict each other, or a password would be lost that only an address holds.
    """
    _refuse_lost_credentials(config)
    return {
        "image": _image(config),
        **({"schedulerNames": list(_ADOPTED)} if config.queue_definitions == "adopt" else {}),
        "systemNodes": {"label": config.system_nodes.label, "required": config.production},
        "podSecurityPolicy": {"enabled": _switch(config.pod_security_policy)},
        "openshift": {"enabled": is_openshift(config, facts)},
        "gpu": {"runtimeClass": name} if (name := _runtime_class(facts)) else {},
        "projects": {"createNamespaces": config.create_namespaces},
        "node": {
            "createNamespaces": config.create_namespaces,
            **({"runtimeClassName": name} if name else {}),
        },
        "agent": _agent(config, facts, ca),
        "server": _server(config, facts, ca),
        "prometheus": _prometheus(config, facts),
        "remoteWrite": _remote_write(config, ca) if config.prometheus.mode == "bundled" else {},
    }


def as_used(config: Config, chart: str) -> Config:
    """The configuration with the place that the chart will be had from. `chart`: what is named to Helm; empty for the program's own."""
    place = chart if chart.startswith(("oci://", "https://", "http://")) else ""
    return msgspec.structs.replace(config, egress=msgspec.structs.replace(config.egress, charts=place))


def not_used(config: Config) -> dict[str, str]:
    """Code of a check -> why an installation of a configuration as in `as_used` does not use what it looks at."""
    found = (
        {}
        if config.egress.charts
        else {"egress-charts": "the chart comes with this program, or Helm has what --chart names"}
    )
    if config.control_plane.url and not config.control_plane.cluster:
        why = "control_plane.cluster is not set, so nothing connects to a control plane"
        found |= dict.fromkeys(("egress-control-plane", "control-plane"), why)
    return found


def is_openshift(config: Config, facts: Facts) -> bool:
    """What the configuration says, else whether the cluster has OpenShift's own object: a group's name alone says nothing."""
    said = _switch(config.openshift)
    if said == "auto":
        return facts.maybe_text("openshift", "cluster_version_object") == "found"
    return said is True


def recorded(config: Config, accepted: Mapping[str, str]) -> dict[str, Any]:
    """The configuration as it is kept in the cluster for the daily checks: what differs from the defaults, and all risks taken.

    Not the path of a file on the machine that installs, and no password.
    """
    way = config.proxy
    proxy = msgspec.structs.replace(way, http=without_user(way.http), https=without_user(way.https))
    whole = msgspec.structs.replace(config, accept={**config.accept, **accepted}, ca_bundle=None, proxy=proxy)
    return _without_defaults(msgspec.to_builtins(whole), msgspec.to_builtins(Config()))


def _without_defaults(document: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for key, value in document.items():
        default = defaults.get(key)
        if isinstance(value, dict) and isinstance(default, dict) and default:
            value = _without_defaults(value, default)
            default = {}
        if value != default:
            found[key] = value
    return found


def _refuse_lost_credentials(config: Config) -> None:
    """Values of the chart hold no password, so those of a proxy have to be in a Secret."""
    way = config.proxy
    key = next((key for key in ("https", "http") if without_user(getattr(way, key)) != getattr(way, key)), "")
    if key and not way.credentials_secret:
        raise Invalid(
            f"proxy.{key} holds a user or a password, and the values of the chart are kept where many may read them.",
            hint=f"Take it out, make a Secret in the namespace {config.namespace} with USER:PASSWORD under the key "
            "`proxy-credentials`, and name it in proxy.credentials_secret.",
            code="config",
        )


def _switch(said: Switch) -> bool | str:
    return True if is_on(said) else False if is_off(said) else "auto"


def _image(config: Config) -> Values:
    return {
        "repository": image_repository(config),
        "tag": config.images.tag,
        "digest": config.images.digest,
        "pullPolicy": "Never" if config.registry.local_images else "IfNotPresent",
        "pullSecrets": [config.registry.pull_secret] if config.registry.pull_secret else [],
    }


def _runtime_class(facts: Facts) -> str:
    """The RuntimeClass by which a pod saw its GPU, where none did without; else empty."""
    needed = {node.maybe_text("gpu_pod", "runtime_class") for node in facts.maybe_items("nodes")}
    return min((each for each in needed if each), default="")


def _agent(config: Config, facts: Facts, ca: str) -> Values:
    plane, proxy = config.control_plane, config.proxy
    if not plane.cluster:
        return {}
    secrets = {name for name in (plane.token_secret, proxy.credentials_secret) if name}
    if not plane.token_secret or len(secrets) > 1:
        raise Invalid(
            "control_plane.cluster is set, and control_plane.token_secret "
            + ("is another Secret than proxy.credentials_secret." if len(secrets) > 1 else "is not."),
            hint=f"Make one Secret in the namespace {config.namespace} with the key `secret`"
            + (
                " and the key `proxy-credentials`, and name it in both."
                if proxy.credentials_secret
                else ": what `fairlead cluster create NAME` printed."
            ),
            code="config",
        )
    way = proxy_of(config)
    return {
        "url": plane.url,
        "cluster": plane.cluster,
        "existingSecret": plane.token_secret,
        "ca": ca,
        "proxy": way,
        "noProxy": no_proxy(facts, config) if way else "",
    }


def _prometheus(config: Config, facts: Facts) -> Values:
    """Without a class to ask a volume of, the bundled one keeps its samples as long as its pod lives."""
    if config.prometheus.mode == "none":
        return {"enabled": False}
    classes = facts.maybe_items("storage_classes")
    has_class = bool(config.storage.class_) or any(each.maybe_flag("default") for each in classes)
    inside = config.air_gap or config.registry.local_images or config.registry.mirrors
    return {
        "mode": config.prometheus.mode,
        "operator": {"namespace": config.prometheus.namespace, "labels": config.prometheus.labels},
        "storage": {"enabled": has_class, "className": config.storage.class_},
        **({"image": {"repository": f"{image_home(config)}/prometheus"}} if inside else {}),
    }


def _remote_write(config: Config, ca: str) -> Values:
    url = config.remote_write.url
    if not url:
        return {}
    host, port = host_and_port(url)
    return {
        "url": url,
        "existingSecret": config.remote_write.token_secret or "",
        "ca": ca,
        "proxyUrl": proxy_of(config) if is_proxied(host, port, config) else "",
    }


def _server(config: Config, facts: Facts, ca: str) -> Values:
    secret, ingress = config.control_plane.server_secret, config.ingress
    if not secret:
        return {}
    return {
        "enabled": True,
        "existingSecret": secret,
        "publicUrl": f"http{'s' * bool(ingress.tls_secret)}://{ingress.host}" if ingress.host else "",
        "ingress": {"host": ingress.host, "className": ingress.class_, "tlsSecret": ingress.tls_secret},
        "service": {"type": ingress.service},
        "oidc": _oidc(config, facts, ca),
    }


def _oidc(config: Config, facts: Facts, ca: str) -> Values:
    oidc = config.oidc
    if not oidc.issuer:
        return {}
    way = proxy_of(config) if is_proxied(*host_and_port(oidc.issuer), config) else ""
    return {
        "issuer": oidc.issuer,
        "clientId": oidc.client_id,
        "existingSecret": oidc.client_secret,
        "ca": ca,
        "proxy": way,
        "noProxy": no_proxy(facts, config) if way else "",
    }
