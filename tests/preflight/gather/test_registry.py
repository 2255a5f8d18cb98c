"""A real registry, asked as a runtime asks it: with the right password, a wrong one, for what it has not, and by whom it is not trusted."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest
from tests.parts import image
from tests.parts.build import Unavailable
from tests.parts.registry import PASSWORD, USER, Registry, registry

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


@pytest.mark.parametrize(
    ("secret", "authorization"),
    [
        (b"", ""),
        (b"not json", ""),
        (b'{"auths": {"other.example": {"auth": "QQ=="}}}', ""),
        (b'{"auths": {"r.example:5000": {"auth": "QQ=="}}}', "Basic QQ=="),
        (b'{"auths": {"https://r.example:5000/v1/": {"auth": "QQ=="}}}', "Basic QQ=="),
        (b'{"auths": {"r.example:5000": {}}}', ""),
    ],
)
def test_the_pull_secret_s_entry_of_the_host_is_used(secret: bytes, authorization: str) -> None:
    found = wanted_of("r.example:5000/a/b@sha256:1", secret)
    assert (found.host, found.repository, found.reference) == ("r.example:5000", "a/b", "sha256:1")
    assert found.authorization == authorization
