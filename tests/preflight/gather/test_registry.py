"""A real registry, asked as a runtime asks it: with the right password, a wrong one, for what it has not, and by whom it is not trusted."""

from __future__ import annotations

import base64
import functools
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.parts import certificates, image
from tests.parts.build import Unavailable
from tests.parts.registry import PASSWORD, USER, Registry, registry, small_image

from fairlead.preflight.check import Verdict, judged
from fairlead.preflight.checks import BY_CODE
from fairlead.preflight.config import Config
from fairlead.preflight.facts import facts_of
from fairlead.preflight.gather.registry import Wanted, asked, wanted_of


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    try:
        with registry(tmp_path_factory.mktemp("registry")) as found:
            found.push(image.image(), "fairlead:test")
            yield found
    except Unavailable as reason:
        pytest.skip(str(reason))


def wanted(running: Registry, password: str = PASSWORD, image: str = "fairlead:test", *, trusts: bool = True) -> Wanted:
    """An image of it, as a pull secret has it."""
    token = base64.b64encode(f"{USER}:{password}".encode()).decode()
    secret = json.dumps({"auths": {f"https://{running.address}/v2/": {"auth": token}}}).encode()
    return wanted_of(f"{running.address}/{image}", secret, ca=running.ca.read_text() if trusts else "")


async def test_an_image_is_found_with_its_platform_and_a_layer_of_it(running: Registry) -> None:
    found = await asked(wanted(running))
    assert (found["v2_status"], found["token"], found["manifest"]) == (401, "ok", 200)
    assert found["image_platforms"] == {"fairlead": ["linux/amd64"]}
    assert found["blob"]["status"] == 200


async def test_a_wrong_password_is_refused(running: Registry) -> None:
    found = await asked(wanted(running, "not-the-password"))
    assert (found["v2_status"], found["token"], found["manifest"]) == (401, "refused", 401)


async def test_an_image_that_it_has_not_is_not_found(running: Registry) -> None:
    assert (await asked(wanted(running, image="nothing:test")))["manifest"] == 404


async def test_a_registry_that_is_not_trusted_is_told_apart_from_one_that_is_away(running: Registry) -> None:
    assert (await asked(wanted(running, trusts=False)))["error"] == "tls"
    assert (await asked(Wanted(host="127.0.0.1:1", repository="a", reference="b")))["error"] == "refused"


async def test_an_image_for_another_architecture_is_told_of_the_nodes_that_cannot_run_it(
    running: Registry, tmp_path: Path
) -> None:
    running.push(small_image(tmp_path, "arm64"), "other:test")
    found = await asked(wanted(running, image="other:test"))
    assert found["image_platforms"] == {"other": ["linux/arm64"]}
    nodes = [{"name": name, "arch": name, "ready": True, "os": "linux"} for name in ("amd64", "arm64")]
    said = judged(
        BY_CODE["node-architecture"],
        facts_of({"nodes": nodes, "registry": found, "probe_exit": {"amd64": 0, "arm64": 0}}),
        Config(),
    )
    assert {name: (each.verdict, each.cause) for name, each in said.nodes.items()} == {
        "amd64": (Verdict.FAIL, "arch-missing"),
        "arm64": (Verdict.PASS, ""),
    }


class _Page(SimpleHTTPRequestHandler):
    """Answers everything with the page of a proxy that blocks."""

    def do_GET(self) -> None:
        page = b"<html>Blocked by policy</html>"
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)


@pytest.mark.parametrize(
    ("who", "follow", "digest_ok"),
    [("files", "ok", True), ("nobody", "refused", None), ("a page", "block_page", False)],
)
async def test_layers_that_are_kept_elsewhere_are_followed_and_their_host_is_told(
    tmp_path: Path, who: str, follow: str, digest_ok: bool | None
) -> None:
    """The registry's own middleware sends them on, as clouds do; who answers there is a stand-in that serves its files."""
    (tmp_path / "images").mkdir()
    certificates.write(tmp_path, {"files": certificates.Leaf("files", names=("localhost",))})
    handler, is_there = _Page if who == "a page" else SimpleHTTPRequestHandler, who != "nobody"
    serves = functools.partial(handler, directory=str(tmp_path / "images"))
    with ThreadingHTTPServer(("127.0.0.1", 0), serves) as files:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(tmp_path / "files.crt", tmp_path / "files.key")
        files.socket = tls.wrap_socket(files.socket, server_side=True)
        threading.Thread(target=files.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        authority = (tmp_path / "ca.crt").read_text()
        port = files.server_port
        if not is_there:
            files.shutdown()
            files.server_close()
        with registry(tmp_path, blobs_at=f"https://localhost:{port}") as found:
            found.push(small_image(tmp_path, "amd64"), "kept:test")
            at = replace(wanted(found, image="kept:test"), ca=authority + found.ca.read_text())
            blob = (await asked(at))["blob"]
        if is_there:
            files.shutdown()
    assert (blob["status"], blob["location_host"]) == (307, f"localhost:{port}")
    assert (blob["follow"], blob.get("digest_ok")) == (follow, digest_ok)


@pytest.mark.parametrize(
    ("secret", "authorization"),
    [
        (b"", ""),
        (b"not json", ""),
        (b'{"auths": {"other.example": {"auth": "QQ=="}}}', ""),
        (b'{"auths": {"r.example:5000": {"auth": "QQ=="}}}', "Basic QQ=="),
        (b'{"auths": {"https://r.example:5000/v1/": {"auth": "QQ=="}}}', "Basic QQ=="),
        (b'{"auths": {"r.example:5000": {}}}', ""),
        (b'{"auths": {"r.example:5000": {"username": "ann", "password": "horse"}}}', "Basic YW5uOmhvcnNl"),
    ],
)
def test_the_pull_secret_s_entry_of_the_host_is_used(secret: bytes, authorization: str) -> None:
    found = wanted_of("r.example:5000/a/b@sha256:1", secret)
    assert (found.host, found.repository, found.reference) == ("r.example:5000", "a/b", "sha256:1")
    assert found.authorization == authorization
