"""`docs/howto/install-without-a-network.md`, followed where nothing outside is reached: a bundle is carried in and installed from there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from tests.howto import Reader, blocks
from tests.parts import image
from tests.parts.build import Unavailable
from tests.parts.cluster.cluster import Cluster
from tests.parts.cluster.images import prometheus_image
from tests.parts.registry import PASSWORD, USER, Registry, registry
from tests.realcluster.test_install import accepting
from tests.realcluster.trust import trusts

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1800)]

FROM_A_REGISTRY, PACK, SHOW, LOAD, INSTALL = blocks("install-without-a-network")
PREFIX = "carried"


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Registry]:
    """A registry that only whoever packs reaches. It has the product's image, and a copy of the bundled Prometheus: a real one, of the
    machine's distribution.
    """
    folder = tmp_path / "outside"
    folder.mkdir()
    try:
        with registry(folder) as found:
            found.push(prometheus_image(folder), "copies/prometheus:any", "docker-archive")
            found.push(image.image(), "fairlead:0.1.0")
            yield found
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def inside(real_cluster: Cluster, tmp_path: Path) -> Iterator[Registry]:
    """A registry that both nodes trust; and the nodes reach nothing but it and each other."""
    gate = real_cluster.control_plane.address
    here = real_cluster.addresses.outside
    try:
        with registry(tmp_path, here) as found:
            for node in real_cluster.nodes.values():
                trusts(node, found)
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
    real_cluster: Cluster, inside: Registry, outside: Registry, tmp_path: Path
) -> None:
    folder = tmp_path / "reader"
    folder.mkdir()
    reader = Reader(folder, real_cluster.kubeconfig)
    (folder / "password").write_text(f"{PASSWORD}\n")
    own = {"dist/fairlead-image.tar": str(image.image())}
    (folder / "outside.yaml").write_text(json.dumps({"registry": {"host": outside.address}}))
    signed_in = f"--config outside.yaml --ca {outside.ca} --username {USER} --password-stdin < password"
    copy = f"--prometheus-image {outside.address}/copies/prometheus:any {signed_in}"
    reader.types(FROM_A_REGISTRY, {"--config fairlead.yaml": copy})
    fetched = reader.types(SHOW)
    reader.types(PACK, {**own, "--image docker.io/library/busybox:1.36": copy})
    assert all(name in fetched for name in ("fairlead:0.1.0", "prometheus:v")), fetched
    assert reader.types(SHOW) == fetched, "the same, wherever the product's image came from"
    at = {"registry.example.com:5000": inside.address}
    trusting = f"--prefix {PREFIX} --ca {inside.ca} --username {USER}"
    said = reader.types(LOAD, {**at, "--username ann": trusting})
    config = YAML(typ="safe").load(said.partition("In fairlead.yaml:")[2])
    assert config == {"air_gap": True, "registry": {"host": f"{inside.address}/{PREFIX}"}, "images": {"tag": "0.1.0"}}
    config["registry"]["pull_secret"] = "pull"
    here = {"control_plane": {"url": ""}, "ca_bundle": str(inside.ca)}
    (folder / "fairlead.yaml").write_text(json.dumps({**config, **here, "egress": {"third_party": []}}))
    try:
        first = reader.tries(INSTALL, {**at, "=ann": f"={USER}", "PASSWORD": PASSWORD})
        assert first.returncode == 1, first.stderr
        assert "registry-pull" not in first.stderr, first.stdout
        again = INSTALL.strip().splitlines()[-1]
        told = reader.types(f"{again} {accepting(first.stderr)}")
        assert "Fairlead works: a workload ran on one GPU" in told
        images = _kubectl(real_cluster, "get", "pods", "-A", "-o", "jsonpath={.items[*].spec.containers[*].image}")
        assert all(image.startswith(f"{inside.address}/{PREFIX}/") for image in images.split()), images
        assert any("/prometheus:" in image for image in images.split()), images
    finally:
        reader.tries("fairlead uninstall --purge --yes")


def _kubectl(cluster: Cluster, *words: str) -> str:
    command = ["kubectl", "--kubeconfig", str(cluster.kubeconfig), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
