"""A real image registry: Debian's docker-registry with TLS of an authority of its own and a password."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

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

    def push(self, archive: Path, name: str, kind: str = "oci-archive") -> None:
        """Have it keep the image of an archive. `kind`: or docker-archive, or oci for a folder. Raises: RuntimeError."""
        command = ["skopeo", "copy", "--all", f"--dest-cert-dir={self.ca.parent}", f"--dest-creds={USER}:{PASSWORD}"]
        done = subprocess.run(
            [*command, f"{kind}:{archive}", f"docker://{self.address}/{name}"], capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"{name} could not be pushed: {done.stderr[-800:]}")


def small_image(folder: Path, architecture: str, *, listed: bool = False) -> Path:
    """An OCI archive of an image that says it is for that architecture. `listed`: as an index of one. Its only file, which it starts with,
    is the head of a program for arm64.
    """

    def blob(content: bytes, kind: str) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        parts[f"blobs/sha256/{digest}"] = content
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(content)}

    parts: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}
    layer = blob(_one_file("fairlead", _ARM64), "layer.v1.tar")
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Entrypoint": ["/fairlead"]},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob(json.dumps(config).encode(), "config.v1+json"),
        "layers": [layer],
    }
    of = {"platform": {"architecture": architecture, "os": "linux"}}
    index = {"schemaVersion": 2, "manifests": [blob(json.dumps(manifest).encode(), "manifest.v1+json") | of]}
    if listed:
        kind = "index.v1+json"
        whole = {**index, "mediaType": f"application/vnd.oci.image.{kind}"}
        index = {"schemaVersion": 2, "manifests": [blob(json.dumps(whole).encode(), kind)]}
    parts["index.json"] = json.dumps(index).encode()
    found = folder / f"{architecture}.tar"
    with tarfile.open(found, "w") as archive:
        for name, content in parts.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return found


_ARM64: Final = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xb7\x00\x01" + bytes(43)
"""The header of an ELF file of 64 bits, executable, for AArch64: a kernel of another architecture reads no further."""


def _one_file(name: str, content: bytes) -> bytes:
    """A tar with one program in it."""
    found = io.BytesIO()
    with tarfile.open(fileobj=found, mode="w") as layer:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), 0o755
        layer.addfile(entry, io.BytesIO(content))
    return found.getvalue()


def another_image(archive: Path, folder: Path, name: str) -> Path:
    """The image of an OCI archive with one layer more, whose only file holds that name: nobody has it yet. A folder for `push`."""
    found = folder / name
    with tarfile.open(archive) as whole:
        whole.extractall(found, filter="data")
    blobs = found / "blobs" / "sha256"

    def read(entry: dict[str, Any]) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((blobs / entry["digest"].partition(":")[2]).read_bytes())
        return document

    def kept(content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"digest": f"sha256:{digest}", "size": len(content)}

    index = json.loads((found / "index.json").read_text())
    manifest = read(index["manifests"][0])
    config = read(manifest["config"])
    added = kept(_one_file(f"etc/{name}", b""))
    config["rootfs"]["diff_ids"].append(added["digest"])
    config.pop("history", None)
    manifest["layers"].append({"mediaType": "application/vnd.oci.image.layer.v1.tar", **added})
    manifest["config"] |= kept(json.dumps(config).encode())
    index["manifests"][0] |= kept(json.dumps(manifest).encode())
    (found / "index.json").write_text(json.dumps(index))
    return found


@contextlib.contextmanager
def registry(folder: Path, host: str = "127.0.0.1", blobs_at: str = "") -> Iterator[Registry]:
    """Give a running registry at that address of this machine, ended afterwards. `blobs_at`: the URL that requests for layers are sent
    on to, where `FOLDER/images` is served. Raises: Unavailable, RuntimeError.
    """
    server, htpasswd, _ = (program(*words) for words in PROGRAMS)
    (port,) = free_ports(1)
    certificates.write(folder, {"registry": certificates.Leaf("registry", addresses=(host,))})
    trusted = folder / "trusted"
    trusted.mkdir()
    (trusted / "ca.crt").write_bytes((folder / "ca.crt").read_bytes())
    hashed = subprocess.run([htpasswd, "-Bbn", USER, PASSWORD], capture_output=True, check=True).stdout
    (folder / "htpasswd").write_bytes(hashed)
    (folder / "registry.yml").write_text(json.dumps(_settings(folder, host, port, blobs_at)))
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen([server, "serve", str(folder / "registry.yml")], stdout=log, stderr=log)
    try:
        _wait(process, host, port, folder / "registry.log")
        yield Registry(f"{host}:{port}", trusted / "ca.crt")
    finally:
        stop([process])


def _settings(folder: Path, host: str, port: int, blobs_at: str) -> dict[str, object]:
    tls = {"certificate": str(folder / "registry.crt"), "key": str(folder / "registry.key")}
    return {
        "version": 0.1,
        "http": {"addr": f"{host}:{port}", "tls": tls},
        "storage": {"filesystem": {"rootdirectory": str(folder / "images")}},
        "middleware": {"storage": [{"name": "redirect", "options": {"baseurl": blobs_at}}] if blobs_at else []},
        "auth": {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}},
    }


def _wait(process: subprocess.Popen[bytes], host: str, port: int, log: Path) -> None:
    end = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"the registry did not start: {log.read_text()[-800:]}")
