"""An installation where nothing outside is reached: a bundle is carried in, put into the registry there, and installed from it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.parts import image
from tests.parts.build import Unavailable
from tests.parts.cluster.cluster import Cluster
from tests.parts.cluster.nodes import TRUST
from tests.parts.registry import PASSWORD, USER, Registry, registry
from tests.realcluster.test_install import Installer

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1800)]

PREFIX = "carried"


@pytest.fixture
def carried(real_cluster: Cluster, tmp_path: Path) -> Iterator[Registry]:
    """A registry that both nodes trust, with what the bundle brought; and the nodes reach nothing but it and each other."""
    gate = real_cluster.control_plane.address
    here = f"{gate.rsplit('.', 2)[0]}.255.1"
    try:
        with registry(tmp_path, here) as found:
            bundle = tmp_path / "fairlead.tar"
            _typed("create", "-f", str(bundle), "--archive", str(image.image()), "--without-prometheus")
            login = ["--ca", str(found.ca), "--username", USER, "--password-stdin"]
            _typed("load", str(bundle), "--registry", found.address, "--prefix", PREFIX, *login)
            for node in real_cluster.nodes.values():
                trust = node.machine.folder / TRUST / found.address
                trust.mkdir(parents=True)
                (trust / "ca.crt").write_bytes(found.ca.read_bytes())
                (trust / "hosts.toml").write_text(
                    f'server = "https://{found.address}"\n[host."https://{found.address}"]\nca = "{trust / "ca.crt"}"\n'
                )
                node.machine.run("ip", "route", "add", here, "via", gate)
                node.machine.run("ip", "route", "del", "default")
            yield found
    except Unavailable as reason:
        pytest.skip(str(reason))
    finally:
        for node in real_cluster.nodes.values():
            node.machine.run("ip", "route", "replace", "default", "via", gate)
            node.machine.run("ip", "route", "del", here)


def test_it_is_installed_from_a_bundle_with_everything_outside_blocked(
    real_cluster: Cluster, carried: Registry, tmp_path: Path
) -> None:
    config = {
        "air_gap": True,
        "prometheus": {"mode": "none"},
        "control_plane": {"url": ""},
        "registry": {"host": f"{carried.address}/{PREFIX}", "pull_secret": "pull"},
        "images": {"tag": "0.1.0"},
        "egress": {"third_party": []},
        "ca_bundle": str(carried.ca),
    }
    installer = Installer(real_cluster, tmp_path, config)
    try:
        installer.kubectl("create", "namespace", "fairlead")
        installer.kubectl(
            "-n", "fairlead", "create", "secret", "docker-registry", "pull", f"--docker-server={carried.address}",
            f"--docker-username={USER}", f"--docker-password={PASSWORD}",
        )  # fmt: skip
        first = installer.run("install")
        assert first.returncode == 1, first.stderr
        assert "registry-pull" not in first.stderr, first.stdout
        told = installer.ok("install", *installer.accepting(first.stderr))
        assert "Fairlead works: a workload ran on one GPU" in told
        images = installer.kubectl("get", "pods", "-A", "-o", "jsonpath={.items[*].spec.containers[*].image}")
        assert f"{carried.address}/{PREFIX}/fairlead:0.1.0" in images.split()
    finally:
        installer.run("uninstall", "--purge", "--yes")


def _typed(*words: str) -> None:
    command = [sys.executable, "-m", "fairlead.cli.main", "bundle", *words]
    done = subprocess.run(command, capture_output=True, text=True, input=f"{PASSWORD}\n", timeout=300)
    assert done.returncode == 0, done.stderr
