"""A registry that images are fetched from and put into.

Source: OCI distribution specification 1.1, Docker registry token authentication.
"""

from __future__ import annotations

import base64
import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any, Final
from urllib.parse import urljoin

import aiohttp
from msgspec import Struct

from fairlead.runtime.errors import Conflict, Denied, FairleadError, NotFound, Unreachable

MANIFESTS: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_UNAUTHORIZED: Final = 401
_REFUSED: Final = 400
_TIMES: Final = aiohttp.ClientTimeout(total=None, connect=20, sock_read=120)
_PIECE: Final = 1 << 20


class Login(Struct, frozen=True, kw_only=True):
    """A registry, and as whom. `ca`: file of authorities beside the usual ones; `plain`: by http."""

    host: str
    username: str = ""
    password: str = ""
    ca: str = ""
    plain: bool = False


class Registry:
    """One registry. Raises: Unreachable, Denied, NotFound, Conflict, each with what it was about."""

    def __init__(self, session: aiohttp.ClientSession, login: Login) -> None:
        self._session = session
        self._login = login
        self._root = f"http{'s' * (not login.plain)}://{login.host}"
        self._tokens: dict[str, str] = {}
        """Authorization by repository."""

    async def manifest(self, repository: str, reference: str) -> tuple[str, bytes]:
        """(media type, content) of a manifest or an index."""
        path = f"/v2/{repository}/manifests/{reference}"
        async with self._asked("GET", repository, path, headers={"accept": ", ".join(MANIFESTS)}) as answer:
            return answer.content_type, await answer.read()

    async def blob(self, repository: str, digest: str) -> AsyncIterator[bytes]:
        """The pieces of a blob."""
        async with self._asked("GET", repository, f"/v2/{repository}/blobs/{digest}") as answer:
            async for piece in answer.content.iter_chunked(_PIECE):
                yield piece

    async def has_blob(self, repository: str, digest: str) -> bool:
        """Whether it need not be put there again."""
        try:
            async with self._asked("HEAD", repository, f"/v2/{repository}/blobs/{digest}"):
                return True
        except NotFound:
            return False

    async def put_blob(
        self, repository: str, digest: str, size: int, pieces: Callable[[], AsyncIterator[bytes]]
    ) -> None:
        """Put it there whole; the registry verifies its digest."""
        async with self._asked("POST", repository, f"/v2/{repository}/blobs/uploads/") as answer:
            where = urljoin(f"{self._root}/", answer.headers.get("Location", ""))
        mark = "&" if "?" in where else "?"
        headers = {"content-type": "application/octet-stream", "content-length": str(size)}
        async with self._asked("PUT", repository, f"{where}{mark}digest={digest}", headers=headers, data=pieces):
            return

    async def put_manifest(self, repository: str, reference: str, media_type: str, content: bytes) -> None:
        """Put a manifest or an index there. What it names has to be there already."""
        path = f"/v2/{repository}/manifests/{reference}"
        headers = {"content-type": media_type}
        async with self._asked("PUT", repository, path, headers=headers, data=lambda: content):
            return

    @contextlib.asynccontextmanager
    async def _asked(
        self,
        method: str,
        repository: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        data: Callable[[], Any] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer, where it is good. Signs in where it is asked to."""
        url = path if "://" in path else f"{self._root}{path}"
        for is_last in (False, True):
            known = {"authorization": token} if (token := self._tokens.get(repository)) else {}
            try:
                answer = await self._session.request(
                    method, url, headers={**(headers or {}), **known}, data=data() if data else None
                )
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise Unreachable(f"{self._login.host}: {error or type(error).__name__}") from error
            async with answer:
                if answer.status == _UNAUTHORIZED and not is_last:
                    self._tokens[repository] = await self._signed_in(answer, repository)
                    continue
                if answer.status >= _REFUSED:
                    raise await self._error(answer, f"{method} {repository}")
                yield answer
                return

    async def _signed_in(self, answer: aiohttp.ClientResponse, repository: str) -> str:
        words = f"{self._login.username}:{self._login.password}"
        basic = f"Basic {base64.b64encode(words.encode()).decode()}" if self._login.username else ""
        asks = answer.headers.get("www-authenticate", "")
        if not asks.lower().startswith("bearer"):
            if not basic:
                raise Denied(
                    f"{self._login.host} wants a user and a password.", hint="Give --username and the password."
                )
            return basic
        told = dict(re.findall(r'(\w+)="([^"]*)"', asks))
        query = {"service": told.get("service", ""), "scope": f"repository:{repository}:pull,push"}
        headers = {"authorization": basic} if basic else {}
        async with self._session.get(told.get("realm", ""), params=query, headers=headers) as given:
            if given.status >= _REFUSED:
                raise await self._error(given, "sign-in")
            document = await given.json(content_type=None)
        return f"Bearer {document.get('token') or document.get('access_token')}"

    async def _error(self, answer: aiohttp.ClientResponse, what: str) -> FairleadError:
        said = (await answer.text(errors="replace")).strip()[:300]
        text = f"{self._login.host}: {what}: {answer.status} {said}".rstrip()
        kinds: dict[int, type[FairleadError]] = {401: Denied, 403: Denied, 404: NotFound}
        return kinds.get(answer.status, Conflict if answer.status < 500 else Unreachable)(text)


@contextlib.asynccontextmanager
async def registry(login: Login) -> AsyncIterator[Registry]:
    """The registry, until the end of the block. Raises: FairleadError."""
    trusted = ssl.create_default_context()
    if login.ca:
        trusted.load_verify_locations(login.ca)
    connector = aiohttp.TCPConnector(ssl=trusted)
    async with aiohttp.ClientSession(connector=connector, timeout=_TIMES, trust_env=True) as session:
        yield Registry(session, login)
