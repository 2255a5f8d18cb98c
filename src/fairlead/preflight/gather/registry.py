"""A registry asked as a runtime asks it: sign-in, index, one layer, and where that layer really is.

Source: OCI distribution specification (pull), Docker registry token authentication.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from fairlead.preflight.checks.ways import is_docker, place_in, registry_in
from fairlead.preflight.gather.reach import Ask, Seen, failure_of, reach
from fairlead.preflight.gather.services import document_of
from fairlead.runtime.proxies import Proxy

Facts = dict[str, Any]

_INDEXES: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_LEFT: Final = "ratelimit-remaining"
_UNAUTHORIZED: Final = 401
_ABSENT: Final = 404


class Wanted(Struct, frozen=True, kw_only=True):
    """Which image of which registry, as whom. `ca`: PEM."""

    host: str
    repository: str
    reference: str
    scheme: str = "https"
    authorization: str = ""
    """Of the pull secret: `Basic ...`; empty for nobody."""
    ca: str = ""
    copies: tuple[str, ...] = ()
    """HOST/REPOSITORY:TAG of all images that it has to hold where it is the only registry; the first is the one that is asked for."""
    proxy: Proxy | None = None
    patience: float = 10.0


async def asked(wanted: Wanted) -> Facts:
    """The facts below `registry`, up to the first step that fails."""
    talk = _Talk(wanted)
    root = await talk.at(f"{wanted.scheme}://{wanted.host}/v2/", known=False)
    found: Facts = {"scheme": wanted.scheme}
    if root.status is None:
        return found | {"error": failure_of(root)}
    found["v2_status"] = root.status
    found["token"] = await talk.sign_in(root) if root.status == _UNAUTHORIZED else "not_needed"
    index = await talk.manifest(wanted.reference)
    if index.status is None:
        return found | {"error": failure_of(index)}
    found |= {"manifest": index.status, "manifest_from_probe_pod": index.status}
    if (left := re.match(r"\d+", index.headers.get(_LEFT, ""))) is not None:
        found["ratelimit_remaining"] = int(left[0])
    found |= await _copies(wanted, index.status) if wanted.copies else {}
    if index.status // 100 != 2:
        return found
    return found | await _of_image(talk, document_of(index))


async def _copies(wanted: Wanted, status: int) -> Facts:
    """Whether all images are there that have to be. `status`: how the first was answered. What was not answered is left out."""
    first, *others = wanted.copies
    statuses: dict[str, int | None] = {first: status, **{each: await _status(each, wanted) for each in others}}
    told = {
        image: each != _ABSENT for image, each in statuses.items() if each and (each // 100 == 2 or each == _ABSENT)
    }
    found: Facts = {"mirror_has_probe_image": told[first]} if first in told else {}
    if missing := [image for image, there in told.items() if not there]:
        found["mirror_missing"] = missing
    if missing or len(told) == len(statuses):
        found["mirror_has_product_images"] = not missing
    return found


async def _status(image: str, wanted: Wanted) -> int | None:
    """How the manifest of another image is answered, with the same sign-in; None for not at all."""
    _, repository, reference = _parts(image)
    talk = _Talk(replace(wanted, repository=repository, reference=reference))
    root = await talk.at(f"{wanted.scheme}://{wanted.host}/v2/", known=False)
    if root.status == _UNAUTHORIZED:
        await talk.sign_in(root)
    return (await talk.manifest(reference)).status


async def _of_image(talk: _Talk, index: Facts) -> Facts:
    """Platforms, and one layer."""
    platforms, manifest = [], index
    if listed := index.get("manifests"):
        platforms = [_platform(each.get("platform") or {}) for each in listed]
        platforms = sorted({each for each in platforms if "unknown" not in each})
        manifest = document_of(await talk.manifest(listed[0]["digest"]))
    config = manifest.get("config") or {}
    layers = manifest.get("layers") or []
    if not platforms and config.get("digest"):
        blob = await talk.blob(config["digest"])
        platforms = [_platform(document_of(blob))] if blob.status == 200 else []
    found: Facts = {"image_platforms": {talk.wanted.repository: platforms}} if platforms else {}
    if not layers:
        return found
    smallest = min(layers, key=lambda each: int(each.get("size", 0)))
    return found | {"blob": await talk.layer(str(smallest["digest"]))}


class _Talk:
    """One conversation."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self._authorization = wanted.authorization

    async def get(self, path: str, accept: str = "*/*") -> Seen:
        wanted = self.wanted
        return await self.at(f"{wanted.scheme}://{wanted.host}{path}", accept)

    async def at(self, url: str, accept: str = "*/*", *, known: bool = True) -> Seen:
        """`known`: whether the host is the registry's, which alone gets credentials."""
        wanted = self.wanted
        headers = {"accept": accept}
        if known and self._authorization:
            headers["authorization"] = self._authorization
        ask = Ask(url=url, proxy=wanted.proxy, ca=wanted.ca, headers=headers, patience=wanted.patience)
        return await reach(ask)

    async def sign_in(self, refused: Seen) -> str:
        """`ok`, `refused`, or the class of what went wrong at the token service."""
        asks = refused.headers.get("www-authenticate", "")
        if not asks.lower().startswith("bearer"):
            return ("ok" if (await self.get("/v2/")).status == 200 else "refused") if self._authorization else "refused"
        told = dict(re.findall(r'(\w+)="([^"]*)"', asks))
        query = {"service": told.get("service", ""), "scope": f"repository:{self.wanted.repository}:pull"}
        answer = await self.at(f"{told.get('realm', '')}?{urlencode(query)}")
        document = document_of(answer)
        token = document.get("token") or document.get("access_token")
        if not token:
            return "refused" if answer.status is not None else failure_of(answer)
        self._authorization = f"Bearer {token}"
        return "ok"

    async def manifest(self, reference: str) -> Seen:
        return await self.get(f"/v2/{self.wanted.repository}/manifests/{reference}", accept=", ".join(_INDEXES))

    async def blob(self, digest: str) -> Seen:
        """A blob, wherever the registry keeps it."""
        seen = await self.get(f"/v2/{self.wanted.repository}/blobs/{digest}")
        where = seen.headers.get("location", "")
        return await self.at(where, known=self._is_here(where)) if seen.status in (301, 302, 303, 307, 308) else seen

    async def layer(self, digest: str) -> Facts:
        """Where a layer is, and whether it can be had there."""
        seen = await self.get(f"/v2/{self.wanted.repository}/blobs/{digest}")
        if seen.status is None:
            return {"follow": failure_of(seen)}
        found: Facts = {"status": seen.status}
        where = seen.headers.get("location", "")
        if host := place_in(where):
            found["location_host"] = host
            seen = await self.at(where, known=self._is_here(where))
            found["follow"] = failure_of(seen) if seen.status is None else "ok" if seen.status == 200 else "http"
        size = int(seen.headers.get("content-length", "0") or 0)
        if seen.status == 200 and size == len(seen.body) > 0:
            found["digest_ok"] = digest == f"sha256:{hashlib.sha256(seen.body).hexdigest()}"
            if not found["digest_ok"]:
                found["follow"] = "block_page"  # it answers, and it is another who does
        return found

    def _is_here(self, url: str) -> bool:
        return urlsplit(url).netloc in ("", self.wanted.host)


def wanted_of(image: str, pull_secret: bytes, **more: Any) -> Wanted:
    """What to ask for an image HOST/REPOSITORY:TAG or @DIGEST. `pull_secret`: the JSON of a .dockerconfigjson, or nothing."""
    host, repository, reference = _parts(image)
    secret = _basic(pull_secret, host)
    return Wanted(host=registry_in(host), repository=repository, reference=reference, authorization=secret, **more)


def _parts(image: str) -> tuple[str, str, str]:
    """(host, repository there, tag or digest)."""
    host, _, rest = image.partition("/")
    repository, at, reference = rest.partition("@") if "@" in rest else rest.rpartition(":")
    assert at, image
    official = "library/" if is_docker(host) and "/" not in repository else ""
    return host, f"{official}{repository}", reference


def _basic(pull_secret: bytes, host: str) -> str:
    try:
        auths = msgspec.json.decode(pull_secret).get("auths") or {} if pull_secret else {}
    except (msgspec.DecodeError, AttributeError):
        return ""
    for name, each in auths.items():
        if registry_in(name) == registry_in(host) and (encoded := _encoded(each)):
            return f"Basic {encoded}"
    return ""


def _encoded(entry: Facts) -> str:
    """User and password as HTTP wants them: as they are kept, or made of the two, which kubelets take as well."""
    if "auth" in entry:
        return str(entry["auth"])
    user, password = entry.get("username", ""), entry.get("password", "")
    return base64.b64encode(f"{user}:{password}".encode()).decode() if user or password else ""


def _platform(each: Facts) -> str:
    return f"{each.get('os', 'unknown')}/{each.get('architecture', 'unknown')}"
