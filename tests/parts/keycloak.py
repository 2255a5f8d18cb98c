"""Keycloak, as Maven's repository has it: got once into the folder of the other parts, run over TLS with one realm."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.parts import certificates
from tests.parts.apiserver import free_ports, stop
from tests.parts.build import Unavailable, cache_folder
from tests.parts.debian import program

VERSION = "26.7.3"
CLIENT, SECRET, PASSWORD = "fairlead", "a-secret-of-this-client", "any"
_PATIENCE = 420.0
_NEEDED = 17
"""Java's version."""


@dataclass(frozen=True)
class Keycloak:
    """A running one."""

    issuer: str
    ca: Path


@contextmanager
def keycloak(folder: Path, redirect_uri: str) -> Iterator[Keycloak]:
    """With the realm `corp`: mira, of the group gpu-admins, and a client. Skips the test where it cannot be had."""
    try:
        home = _copied(folder)
    except Unavailable as reason:
        pytest.skip(str(reason))
    certificates.write(folder, {"front": certificates.Leaf("localhost")})
    (port,) = free_ports(1)
    (home / "data" / "import").mkdir(parents=True, exist_ok=True)
    (home / "data" / "import" / "corp.json").write_text(json.dumps(_realm(redirect_uri)))
    words = [
        f"--https-port={port}",
        f"--https-certificate-file={folder}/front.crt",
        f"--https-certificate-key-file={folder}/front.key",
        f"--hostname=https://localhost:{port}",
        "--http-host=127.0.0.1",
        f"--http-port={free_ports(1)[0]}",
        "--cache=local",
        "--import-realm",
    ]
    log = folder / "keycloak.log"
    with log.open("wb") as out:
        process = subprocess.Popen([str(home / "bin" / "kc.sh"), "start-dev", *words], stdout=out, stderr=out)
    try:
        _wait(process, log)
        yield Keycloak(f"https://localhost:{port}/realms/corp", folder / "ca.crt")
    finally:
        stop([process])


def _wait(process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while "Listening on:" not in log.read_text():
        assert process.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < end, log.read_text()[-3000:]
        time.sleep(0.5)


def _copied(folder: Path) -> Path:
    """A Keycloak of one's own: it writes into its folder."""
    packed_in = archive()
    with tarfile.open(packed_in) as packed:
        packed.extractall(folder, filter="data")
    return folder / f"keycloak-{VERSION}"


def archive() -> Path:
    """Its files, packed. Raises: Unavailable."""
    java = program("java", "openjdk-17-jre-headless")
    told = subprocess.run([str(java), "-version"], capture_output=True, text=True).stderr
    if (version := int(told.partition('"')[2].partition(".")[0] or 0)) < _NEEDED:
        raise Unavailable(f"Keycloak needs Java {_NEEDED}, this is {version}")
    name = f"keycloak-quarkus-dist-{VERSION}.tar.gz"
    target = cache_folder() / name
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with (target.parent / "keycloak.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.exists():
                _get(target)
    return target


def _get(target: Path) -> None:
    maven = program("mvn", "maven")
    half = target.parent / "keycloak.part"
    shutil.rmtree(half, ignore_errors=True)
    artifact = f"-Dartifact=org.keycloak:keycloak-quarkus-dist:{VERSION}:tar.gz"
    command = [str(maven), "-q", "-B", "dependency:copy", artifact, f"-DoutputDirectory={half}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, env=dict(os.environ))
    if done.returncode or not (half / target.name).exists():
        raise Unavailable(f"Keycloak {VERSION} could not be got from Maven: {(done.stdout + done.stderr)[-400:]}")
    (half / target.name).rename(target)
    shutil.rmtree(half)


def _realm(redirect_uri: str) -> dict[str, Any]:
    groups = {
        "name": "groups",
        "protocol": "openid-connect",
        "protocolMapper": "oidc-group-membership-mapper",
        "config": {"claim.name": "groups", "full.path": "false", "id.token.claim": "true"},
    }
    client = {
        "clientId": CLIENT,
        "secret": SECRET,
        "redirectUris": [redirect_uri],
        "standardFlowEnabled": True,
        "publicClient": False,
        "attributes": {"pkce.code.challenge.method": "S256"},
        "protocolMappers": [groups],
    }
    mira = {
        "username": "mira",
        "enabled": True,
        "email": "mira@example.com",
        "emailVerified": True,
        "firstName": "Mira",
        "lastName": "M",
        "groups": ["/gpu-admins"],
        "credentials": [{"type": "password", "value": PASSWORD}],
    }
    return {"realm": "corp", "enabled": True, "groups": [{"name": "gpu-admins"}], "clients": [client], "users": [mira]}
