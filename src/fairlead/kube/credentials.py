"""Where an API server is and who we are to it: a kubeconfig, or the service account of the pod we run in."""

from __future__ import annotations

import base64
import binascii
import json
import os.path
import ssl
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from fairlead.runtime.errors import Invalid
from fairlead.runtime.settings import environment

_EXEC: Final = "client.authentication.k8s.io/v1"
_EXEC_SECONDS: Final = 30.0
SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class Credentials(Struct, frozen=True, kw_only=True):
    """How to reach and sign in to one API server. Certificates are PEM; a token file is read again before it ages."""

    url: str
    ca: bytes = b""
    token: str = ""
    token_file: str = ""
    client_certificate: bytes = b""
    client_key: bytes = b""
    insecure: bool = False
    """The kubeconfig says not to check the server's certificate."""
    server_name: str = ""
    namespace: str = "default"
    context: str = ""
    """By which name of the kubeconfig."""

    def ssl_context(self, scratch: Path) -> ssl.SSLContext | None:
        """Give the TLS settings, None for plain HTTP. `scratch`: a private folder, for a client key must be a file."""
        if not self.url.startswith("https:"):
            return None
        context = ssl.create_default_context(cadata=self.ca.decode() if self.ca else None)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.client_certificate:
            file = scratch / "client.pem"
            file.touch(mode=0o600)
            file.write_bytes(self.client_certificate + b"\n" + self.client_key)
            context.load_cert_chain(file)
            file.unlink()
        return context


def find(env: Mapping[str, str], kubeconfig: str = "", context: str = "") -> Credentials:
    """Give the credentials named, else the pod's own, else those of $KUBECONFIG or ~/.kube/config.

    Raises: Invalid naming what was looked for and is missing.
    """
    if not kubeconfig and env.get("KUBERNETES_SERVICE_HOST") and (SERVICE_ACCOUNT / "token").exists():
        return in_cluster(env)
    path = kubeconfig or env.get("KUBECONFIG", "").split(os.path.pathsep)[0] or "~/.kube/config"
    return from_kubeconfig(Path(path).expanduser(), context)


def in_cluster(env: Mapping[str, str], folder: Path = SERVICE_ACCOUNT) -> Credentials:
    """Give the credentials of the pod's service account. Raises: Invalid outside a cluster."""
    host, port = env.get("KUBERNETES_SERVICE_HOST", ""), env.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not (folder / "token").exists():
        raise Invalid("not inside a cluster", hint="KUBERNETES_SERVICE_HOST and a service account token are needed")
    namespace = folder / "namespace"
    return Credentials(
        url=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        ca=(folder / "ca.crt").read_bytes(),
        token_file=str(folder / "token"),
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
    )


def from_kubeconfig(path: Path, context: str = "") -> Credentials:
    """Give the credentials of a context (the current one by default). Raises: Invalid."""
    try:
        document = YAML(typ="safe").load(path.read_text())
    except (OSError, YAMLError) as error:
        raise Invalid(f"kubeconfig {path}: {error}", code="kubeconfig") from error
    if not isinstance(document, dict):
        raise Invalid(f"kubeconfig {path} holds no configuration", code="kubeconfig")
    name = context or document.get("current-context") or ""
    chosen = _named(path, document, "contexts", "context", name)
    cluster = _named(path, document, "clusters", "cluster", chosen.get("cluster", ""))
    user = _named(path, document, "users", "user", chosen["user"]) if chosen.get("user") else {}
    if isinstance(user.get("exec"), dict):
        user = {**user, **_from_program(path, user["exec"])}
    if unsupported := [key for key in ("auth-provider", "username") if user.get(key)]:
        hint = "use a token, a token file, a client certificate or a program (exec)"
        raise Invalid(f"kubeconfig {path}: sign-in by {unsupported[0]} is not supported", hint=hint, code="kubeconfig")
    return Credentials(
        url=str(cluster.get("server", "")).rstrip("/"),
        ca=_bytes(path, cluster, "certificate-authority"),
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
        server_name=cluster.get("tls-server-name", ""),
        token=user.get("token", ""),
        token_file=str(path.parent / user["tokenFile"]) if user.get("tokenFile") else "",
        client_certificate=_bytes(path, user, "client-certificate"),
        client_key=_bytes(path, user, "client-key"),
        namespace=chosen.get("namespace") or "default",
        context=name,
    )


def _from_program(path: Path, told: Mapping[str, Any]) -> dict[str, Any]:
    """What a program that the kubeconfig names gives out, as a user's section. Raises: Invalid (exec-plugin-missing, exec-plugin)."""
    program = str(told.get("command", ""))
    asks = {"apiVersion": told.get("apiVersion", _EXEC), "kind": "ExecCredential", "spec": {"interactive": False}}
    more = {str(each["name"]): str(each["value"]) for each in told.get("env") or ()}
    try:
        done = subprocess.run(
            [program, *map(str, told.get("args") or ())],
            capture_output=True,
            timeout=_EXEC_SECONDS,
            env={**environment(), **more, "KUBERNETES_EXEC_INFO": json.dumps(asks)},
            cwd=path.parent if "/" in program else None,
            check=True,
        )
        status = json.loads(done.stdout)["status"]
    except FileNotFoundError as error:
        hint = str(told.get("installHint") or f"install {program}, or take a kubeconfig with a token").strip()
        raise Invalid(
            f"kubeconfig {path}: the program {program} is missing", hint=hint, code="exec-plugin-missing"
        ) from error
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        said = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip()
        raise Invalid(
            f"kubeconfig {path}: {program} gave no credential: {said or error}", code="exec-plugin"
        ) from error
    keys = {"token": "token", "clientCertificateData": "client-certificate-data", "clientKeyData": "client-key-data"}
    found = {ours: str(status[theirs]) for theirs, ours in keys.items() if status.get(theirs)}
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in found.items() if key != "token"}
    return {**found, **encoded}


def _named(path: Path, document: Mapping[str, Any], table: str, key: str, name: str) -> dict[str, Any]:
    for row in document.get(table) or ():
        if row.get("name") == name:
            return dict(row.get(key) or {})
    raise Invalid(f"kubeconfig {path}: no {key} named {name!r}", code="kubeconfig")


def _bytes(path: Path, section: Mapping[str, Any], key: str) -> bytes:
    """Give a certificate written into the file, or next to it."""
    try:
        if inline := section.get(f"{key}-data"):
            return base64.b64decode(inline)
        return (path.parent / section[key]).read_bytes() if section.get(key) else b""
    except (OSError, binascii.Error) as error:
        raise Invalid(f"kubeconfig {path}: {key}: {error}", code="kubeconfig") from error
