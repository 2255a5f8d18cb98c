"""The image by way of a real registry, as the guide to an installation has it: pushed from its archive, pulled by containerd."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.parts import image
from tests.parts.apiserver import stop
from tests.parts.build import Unavailable
from tests.parts.debian import program
from tests.parts.registry import PASSWORD, USER, Registry, registry

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

NAME = "platform/fairlead:test"


@dataclass(frozen=True)
class Runtime:
    """A containerd of the test's own, and the registry whose authority it is told of."""

    socket: Path
    hosts: Path
    registry: Registry

    def pull(self, *words: str) -> subprocess.CompletedProcess[str]:
        """What comes of pulling the image."""
        return self.ctr("images", "pull", *words, f"{self.registry.address}/{NAME}")

    def ctr(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The finished command."""
        command = ["ctr", f"--address={self.socket}", "--namespace=k8s.io", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """The image is in the registry, and in no store of the containerd."""
    folder = tmp_path_factory.mktemp("registry")
    try:
        archive, containerd = image.image(), program("containerd", "containerd", "runc")
        running = registry(folder)
        found = running.__enter__()
    except Unavailable as reason:
        pytest.skip(str(reason))
    try:
        found.push(archive, NAME)
        hosts = _trust(folder / "hosts", found)
        address = folder / "containerd.sock"
        process = _containerd(containerd, folder, address)
        try:
            made = Runtime(address, hosts, found)
            _wait(made)
            yield made
        finally:
            stop([process])
    finally:
        running.__exit__(None, None, None)


def test_who_trusts_the_registry_and_knows_the_password_gets_the_image_that_was_pushed(runtime: Runtime) -> None:
    done = runtime.pull(f"--hosts-dir={runtime.hosts}", f"--user={USER}:{PASSWORD}")
    assert done.returncode == 0, done.stderr
    target = next(line for line in runtime.ctr("images", "ls").stdout.splitlines() if NAME in line).split()[2]
    manifest = json.loads(runtime.ctr("content", "get", target).stdout)
    config = json.loads(runtime.ctr("content", "get", manifest["config"]["digest"]).stdout)["config"]
    assert (config["User"], config["Entrypoint"]) == ("65532:65532", ["/usr/local/bin/fairlead"])


def test_without_the_password_or_with_another_it_is_refused(runtime: Runtime) -> None:
    for words in ((), (f"--user={USER}:guessed",)):
        done = runtime.pull(f"--hosts-dir={runtime.hosts}", *words)
        assert done.returncode != 0
        assert "401 Unauthorized" in done.stderr


def test_an_authority_that_nobody_told_of_is_not_trusted(runtime: Runtime, tmp_path: Path) -> None:
    done = runtime.pull(
        f"--hosts-dir={_trust(tmp_path, runtime.registry, is_known=False)}", f"--user={USER}:{PASSWORD}"
    )
    assert done.returncode != 0
    assert "certificate signed by unknown authority" in done.stderr


def _trust(folder: Path, found: Registry, *, is_known: bool = True) -> Path:
    """What an administrator writes on a node below /etc/containerd/certs.d."""
    mine = folder / found.address
    mine.mkdir(parents=True)
    authority = f'ca = "{found.ca}"\n' if is_known else ""
    (mine / "hosts.toml").write_text(
        f'server = "https://{found.address}"\n[host."https://{found.address}"]\n'
        f'capabilities = ["pull", "resolve"]\n{authority}'
    )
    return folder


def _containerd(containerd: Path, folder: Path, address: Path) -> subprocess.Popen[bytes]:
    settings = folder / "containerd.toml"
    settings.write_text(
        f'version = 2\nroot = "{folder / "root"}"\nstate = "{folder / "state"}"\n'
        f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{address}"\n'
    )
    with (folder / "containerd.log").open("wb") as log:
        return subprocess.Popen([containerd, f"--config={settings}"], stdout=log, stderr=log)


def _wait(made: Runtime) -> None:
    end = time.monotonic() + 60
    while made.ctr("version").returncode:
        assert time.monotonic() < end, "containerd did not answer"
        time.sleep(0.1)
