"""A real image registry: Debian's docker-registry with TLS of an authority of its own and a password."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.parts import certificates
from tests.parts.apiserver import free_ports, stop
from tests.parts.debian import program

PROGRAMS = (("docker-registry", "docker-registry"), ("htpasswd", "apache2-utils"), ("skopeo", "skopeo"))
USER, PASSWORD = "alice", "the-password-of-alice"


@dataclass(frozen=True)
class Registry:
    """A running registry. `address` is host:port; `ca` what a client must trust."""

    address: str
    ca: Path

    def push(self, archive: Path, name: str) -> None:
        """Have it keep the image of an OCI archive. Raises: RuntimeError."""
        command = ["skopeo", "copy", f"--dest-cert-dir={self.ca.parent}", f"--dest-creds={USER}:{PASSWORD}"]
        done = subprocess.run(
            [*command, f"oci-archive:{archive}", f"docker://{self.address}/{name}"], capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"{name} could not be pushed: {done.stderr[-800:]}")


@contextlib.contextmanager
def registry(folder: Path, host: str = "127.0.0.1") -> Iterator[Registry]:
    """Give a running registry at that address of this machine, ended afterwards. Raises: Unavailable, RuntimeError."""
    server, htpasswd, _ = (program(*words) for words in PROGRAMS)
    (port,) = free_ports(1)
    certificates.write(folder, {"registry": certificates.Leaf("registry", addresses=(host,))})
    trusted = folder / "trusted"
    trusted.mkdir()
    (trusted / "ca.crt").write_bytes((folder / "ca.crt").read_bytes())
    hashed = subprocess.run([htpasswd, "-Bbn", USER, PASSWORD], capture_output=True, check=True).stdout
    (folder / "htpasswd").write_bytes(hashed)
    (folder / "registry.yml").write_text(json.dumps(_settings(folder, host, port)))
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen([server, "serve", str(folder / "registry.yml")], stdout=log, stderr=log)
    try:
        _wait(process, host, port, folder / "registry.log")
        yield Registry(f"{host}:{port}", trusted / "ca.crt")
    finally:
        stop([process])


def _settings(folder: Path, host: str, port: int) -> dict[str, object]:
    tls = {"certificate": str(folder / "registry.crt"), "key": str(folder / "registry.key")}
    return {
        "version": 0.1,
        "http": {"addr": f"{host}:{port}", "tls": tls},
        "storage": {"filesystem": {"rootdirectory": str(folder / "images")}},
        "auth": {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}},
    }


def _wait(process: subprocess.Popen[bytes], host: str, port: int, log: Path) -> None:
    end = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"the registry did not start: {log.read_text()[-800:]}")
