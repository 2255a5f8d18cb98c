"""The settings of a process: one frozen tree, built once from a file and the environment.

A field is set, later sources winning, by its default, by the file (YAML or JSON, camelCase or snake_case keys), and by a
variable `FAIRLEAD_<SECTION>_<FIELD>` such as `FAIRLEAD_KUBE_TIMEOUT_SECONDS`. Lists in variables are comma-separated.
A key nobody knows, or a value of another shape, is refused by name. Nobody else reads the environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import msgspec
from msgspec import Struct

from fairlead.runtime.errors import Invalid

S = TypeVar("S", bound=Struct)

PREFIX: Final = "FAIRLEAD"
PORT_OPTION: Final = "FAIRLEAD_PORT_OPTION"
"""Variable with what whoever started this types to choose a port: `make up` has its own word for `--port`."""


class LogSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a process speaks."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    style: Literal["json", "console"] = "json"


class KubeSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a Kubernetes API is reached."""

    kubeconfig: str = ""
    """Path; empty for the service account of the pod, then for $KUBECONFIG or ~/.kube/config."""
    context: str = ""
    timeout_seconds: float = 30.0
    """Longest wait for the answer to one call."""
    connect_seconds: float = 10.0
    in_flight: int = 64
    """Most calls at once; a 2-core API server is full with fewer."""
    page_size: int = 500
    """Objects a page of a list: bounds the memory of server and client."""


class LeaseSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Leader election. Units: seconds; duration > renew deadline > retry. A leader that is killed is followed after at most the
    duration, a retry with its jitter, and the time to list the cluster: within 20 seconds."""

    namespace: str = "fairlead"
    duration_seconds: float = 12.0
    renew_deadline_seconds: float = 8.0
    retry_seconds: float = 2.0


class RoleSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every in-cluster role is told."""

    namespace: str = "fairlead"
    """Where the product itself is installed."""
    pod_name: str = ""
    """Name by which the process holds leases; empty for the host's."""
    pod_ip: str = "127.0.0.1"
    """Address under which others of the cluster reach it."""
    node_name: str = ""
    health_host: str = "0.0.0.0"  # the kubelet and Prometheus come from outside the pod
    health_port: int = 9090
    """Where `/healthz`, `/readyz` and `/metrics` are served; 0 for a free one."""
    seed: int = 0
    """Seed of back-off jitter; 0 for one of the system's."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The sections every process has; a role adds its own by a tree that holds these too."""

    log: LogSettings = LogSettings()
    kube: KubeSettings = KubeSettings()
    lease: LeaseSettings = LeaseSettings()
    role: RoleSettings = RoleSettings()


def environment() -> Mapping[str, str]:
    """Give a copy of the process's environment, for the few who hand it on (child processes, proxies)."""
    return dict(os.environ)


def load(type_: type[S], *, file: Path | None = None, env: Mapping[str, str] | None = None) -> S:
    """Give the settings tree of that type from its defaults, a file, and the environment.

    Raises: Invalid naming the key that is unknown or has a wrong value, or the file that cannot be read.
    """
    values = _from_file(type_, file) if file else {}
    _merge(values, _from_env(type_, environment() if env is None else env, (PREFIX,)))
    try:
        return msgspec.convert(values, type_, strict=False)
    except msgspec.ValidationError as error:
        raise Invalid(f"settings: {error}", code="settings") from error


def _from_file(type_: type[Struct], file: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML  # a third of the start of a command, and most read no file
    from ruamel.yaml.error import YAMLError

    try:
        document = YAML(typ="safe").load(file.read_text())
    except (OSError, YAMLError) as error:
        raise Invalid(f"settings file {file}: {error}", code="settings") from error
    if not isinstance(document, dict | None):
        raise Invalid(f"settings file {file}: expected a mapping of sections", code="settings")
    return _snake(type_, document or {})


def _snake(type_: Any, document: Mapping[str, Any]) -> dict[str, Any]:
    """Give the document with camelCase keys turned into the names of the fields they mean."""
    camel = {_camel(field.name): field for field in msgspec.structs.fields(type_)}
    result: dict[str, Any] = {}
    for key, value in document.items():
        field = camel.get(_camel(str(key)))
        name = field.name if field else str(key)
        inner = _is_section(field.type) if field else False
        result[name] = _snake(field.type, value) if field and inner and isinstance(value, dict) else value
    return result


def _camel(name: str) -> str:
    """Give a snake_case name in camelCase; a camelCase name stays as it is."""
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def _from_env(type_: Any, env: Mapping[str, str], path: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(type_):
        here = (*path, field.name.upper())
        if _is_section(field.type):
            if inner := _from_env(field.type, env, here):
                found[field.name] = inner
        elif (text := env.get("_".join(here))) is not None:
            found[field.name] = _typed(text, field.type)
    return found


def _typed(text: str, type_: Any) -> Any:
    if getattr(type_, "__origin__", type_) in (tuple, list):
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _is_section(type_: Any) -> bool:
    return isinstance(type_, type) and issubclass(type_, Struct)


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        present = into.get(key)
        if isinstance(present, dict) and isinstance(value, dict):
            _merge(present, value)
        else:
            into[key] = value
