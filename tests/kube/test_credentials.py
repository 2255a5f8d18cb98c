"""Credentials: from kubeconfigs of several makes, from a pod's service account, or a plain refusal."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from fairlead.kube.credentials import find, from_kubeconfig, in_cluster
from fairlead.runtime.errors import Invalid


def _write(path: Path, user: dict[str, Any], cluster: dict[str, Any] | None = None) -> Path:
    document = {
        "current-context": "one",
        "contexts": [
            {"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "team"}},
            {"name": "two", "context": {"cluster": "c", "user": "gone"}},
        ],
        "clusters": [{"name": "c", "cluster": {"server": "https://api:6443/", **(cluster or {})}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(json.dumps(document))
    return path


def test_inline_and_neighbouring_certificates_are_read(tmp_path: Path) -> None:
    (tmp_path / "client.crt").write_bytes(b"CERT")
    user = {"client-certificate": "client.crt", "client-key-data": base64.b64encode(b"KEY").decode()}
    cluster = {"certificate-authority-data": base64.b64encode(b"CA").decode()}
    found = from_kubeconfig(_write(tmp_path / "config", user, cluster))
    assert (found.url, found.namespace) == ("https://api:6443", "team")
    assert (found.ca, found.client_certificate, found.client_key) == (b"CA", b"CERT", b"KEY")


@pytest.mark.parametrize(
    ("user", "context", "named"),
    [
        ({"auth-provider": {"name": "gcp"}}, "", "auth-provider"),
        ({"username": "bob"}, "", "username"),
        ({"token": "t"}, "two", "gone"),
        ({"token": "t"}, "three", "three"),
        ({"client-certificate": "missing.crt"}, "", "missing.crt"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, user: dict[str, Any], context: str, named: str) -> None:
    with pytest.raises(Invalid, match=named):
        from_kubeconfig(_write(tmp_path / "config", user), context)


@pytest.mark.parametrize("text", ["", "[1]", "{", "current-context: x"])
def test_a_file_that_is_no_kubeconfig_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(Invalid, match="kubeconfig"):
        from_kubeconfig(tmp_path / "config")


def test_a_pod_uses_its_service_account(tmp_path: Path) -> None:
    for name, text in (("token", "t"), ("ca.crt", "CA"), ("namespace", "here\n")):
        (tmp_path / name).write_text(text)
    found = in_cluster({"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}, tmp_path)
    assert (found.url, found.namespace, found.token_file) == ("https://[fd00::1]:443", "here", str(tmp_path / "token"))
    with pytest.raises(Invalid, match="not inside a cluster"):
        in_cluster({}, tmp_path)


def test_the_variable_is_used_where_nothing_is_named(tmp_path: Path) -> None:
    path = _write(tmp_path / "config", {"token": "t"})
    assert find({"KUBECONFIG": str(path)}).token == "t"
    assert find({"KUBECONFIG": "/nowhere"}, kubeconfig=str(path)).token == "t"


def _program(folder: Path, says: str, code: int = 0) -> dict[str, Any]:
    """A program as cloud providers have one, which says that."""
    file = folder / "cloud-login"
    file.write_text(f"#!/bin/sh\ntest -n \"$KUBERNETES_EXEC_INFO\" || exit 9\ncat <<'END'\n{says}\nEND\nexit {code}\n")
    file.chmod(0o755)
    return {"exec": {"command": str(file), "args": ["token"], "apiVersion": "client.authentication.k8s.io/v1"}}


def test_a_program_that_the_kubeconfig_names_gives_the_credential(tmp_path: Path) -> None:
    status = {"token": "t-1", "clientCertificateData": "CERT", "clientKeyData": "KEY"}
    user = _program(tmp_path, json.dumps({"kind": "ExecCredential", "status": status}))
    found = from_kubeconfig(_write(tmp_path / "config", user))
    assert (found.token, found.client_certificate, found.client_key) == ("t-1", b"CERT", b"KEY")


def test_a_program_that_is_missing_is_named_with_how_it_is_installed(tmp_path: Path) -> None:
    user = {"exec": {"command": "no-such-login", "installHint": "pip install no-such-login"}}
    with pytest.raises(Invalid) as refused:
        from_kubeconfig(_write(tmp_path / "config", user))
    assert (refused.value.code, refused.value.hint) == ("exec-plugin-missing", "pip install no-such-login")
    assert "no-such-login is missing" in str(refused.value)


@pytest.mark.parametrize(("says", "code"), [("not signed in", 1), ("{}", 0), ("not json", 0)])
def test_a_program_that_gives_no_credential_is_said_so(tmp_path: Path, says: str, code: int) -> None:
    with pytest.raises(Invalid) as refused:
        from_kubeconfig(_write(tmp_path / "config", _program(tmp_path, says, code)))
    assert refused.value.code == "exec-plugin"
