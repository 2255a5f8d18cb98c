"""Images on a real cluster: layers that a registry keeps elsewhere, another architecture, and images that nodes should have already."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.parts import image
from tests.parts.build import Unavailable
from tests.parts.registry import PASSWORD, Registry, another_image, registry, small_image
from tests.realcluster.test_preflight import LOCAL, Preflight, by_node, check, loaded, preflight, pull_secret
from tests.realcluster.trust import trusts

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(900)]


@contextlib.contextmanager
def files(folder: Path, host: str) -> Iterator[ThreadingHTTPServer]:
    """A stand-in for the store of a cloud: it serves what is in a folder."""
    serves = functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer((host, 0), serves) as found:
        threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield found
        found.shutdown()


@pytest.fixture
def elsewhere(preflight: Preflight, tmp_path: Path) -> Iterator[tuple[Registry, ThreadingHTTPServer]]:
    """A registry that both nodes trust, which sends them on for layers; and who has the layers."""
    here = f"{preflight.cluster.control_plane.address.rsplit('.', 2)[0]}.255.1"
    (tmp_path / "images").mkdir()
    try:
        with (
            files(tmp_path / "images", here) as store,
            registry(tmp_path, here, blobs_at=f"http://{here}:{store.server_port}") as found,
        ):
            found.push(small_image(tmp_path, "arm64"), "fairlead:arm64")
            found.push(small_image(tmp_path, "arm64", listed=True), "fairlead:arm64-of-several")
            for name in ("there", "blocked"):
                found.push(another_image(image.image(), tmp_path, name), f"fairlead:{name}", "oci")
            for node in preflight.cluster.nodes.values():
                trusts(node, found)
            pull_secret(preflight, found, PASSWORD)
            yield found, store
    except Unavailable as reason:
        pytest.skip(str(reason))
    preflight.kubectl("delete", "namespace", "pulls", "--wait=false")


def test_layers_are_had_from_elsewhere_or_their_host_is_named(
    preflight: Preflight, elsewhere: tuple[Registry, ThreadingHTTPServer]
) -> None:
    private, store = elsewhere
    whole = {**LOCAL, "registry": {"host": private.address, "pull_secret": "pull"}, "namespace": "pulls"}
    both = {"node-1": "fail", "node-2": "fail"}
    listed = preflight.report({**whole, "images": {"tag": "arm64-of-several"}}, "--only", "registry-pull")
    assert by_node(listed, "registry-pull") == both, listed["progress"]
    assert check(listed, "registry-pull")["class"] == "platform", check(listed, "registry-pull")["seen"]
    alone = preflight.report({**whole, "images": {"tag": "arm64"}}, "--only", "registry-pull,node-architecture")
    assert check(alone, "registry-pull")["verdict"] == "pass", "it is pulled without a word"
    assert by_node(alone, "node-architecture") == both, (check(alone, "node-architecture"), alone["progress"])
    assert check(alone, "node-architecture")["class"] == "exec-format", check(alone, "node-architecture")["seen"]
    there = preflight.report({**whole, "images": {"tag": "there"}}, "--only", "registry-pull")
    assert by_node(there, "registry-pull") == {"node-1": "pass", "node-2": "pass"}, check(there, "registry-pull")
    store.shutdown()
    store.server_close()
    blocked = check(
        preflight.report({**whole, "images": {"tag": "blocked"}}, "--only", "registry-pull"), "registry-pull"
    )
    assert (blocked["verdict"], blocked["class"]) == ("fail", "blob-host"), blocked
    assert f":{store.server_port}" in blocked["remedy"]


def test_images_that_should_be_on_the_nodes_and_are_not_are_named(preflight: Preflight) -> None:
    there = preflight.report(LOCAL, "--only", "local-images")
    assert by_node(there, "local-images") == {"node-1": "pass", "node-2": "pass"}
    gone = check(preflight.report({**LOCAL, "images": {"tag": "gone"}}, "--only", "local-images"), "local-images")
    assert (gone["verdict"], gone["class"]) == ("fail", "missing"), gone
    assert "localhost/fairlead:gone" in gone["seen"]


__all__ = ["loaded", "preflight"]
