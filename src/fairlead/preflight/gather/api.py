"""The Kubernetes API as preflight reads it: plain documents of any kind, each list once and paged, and what went wrong in one word."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec

from fairlead.kube.client import Client
from fairlead.kube.errors import error_of
from fairlead.kube.transport import JSON, Request, Response
from fairlead.preflight.check import webhook_in
from fairlead.runtime.errors import Denied, FairleadError, NotFound, Permanent, Retryable, SignedOut, Unreachable
from fairlead.runtime.retry import Backoff, retry

Document = dict[str, Any]

_TRIES: Final = Backoff(first=0.2, most=2.0, tries=3)
_PAGE: Final = 500
_REFUSED: Final = 400
"""Statuses from here on are refusals."""
_FIRST_SECONDS: Final = 5.0
_NO_API: Final = "no-api"
_METADATA: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


def path_of(group_version: str, plural: str, name: str = "", namespace: str = "") -> str:
    """The path of an object or a list. `group_version`: `v1`, or GROUP/VERSION."""
    root = f"/api/{group_version}" if "/" not in group_version else f"/apis/{group_version}"
    place = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{place}/{plural}" + (f"/{name}" if name else "")


class Api:
    """Reads documents. Remembers which rights were found and which were refused. Units: seconds."""

    def __init__(self, client: Client, *, patience: float = 10.0) -> None:
        self.client = client
        self.clock = client.clock
        self._patience = patience
        self.allowed: set[str] = set()
        self.forbidden: set[str] = set()
        self.silent_webhooks: dict[str, str] = {}
        """Webhook that did not answer -> what the API server said of it."""

    async def get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Document:
        """The document there. Raises: FairleadError."""
        return await self.call("GET", path, query=query)

    async def first(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Document:
        """The same, asked once and for a short while: whether there is an answer at all. Raises: FairleadError."""
        return _document(await self._answer(_request("GET", path, query=query), _FIRST_SECONDS))

    async def list(
        self,
        group_version: str,
        plural: str,
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        metadata_only: bool = False,
    ) -> list[Document]:
        """All objects of a kind that the selectors choose, page by page. `metadata_only`: for secrets.

        Raises: Denied naming the right, NotFound where the kind is not served.
        """
        path, right = path_of(group_version, plural, namespace=namespace), f"list {plural}"
        accept = _METADATA if metadata_only else JSON
        found: list[Document] = []
        more = ""
        try:
            while True:
                query = {"limit": str(_PAGE), "continue": more, "labelSelector": labels, "fieldSelector": fields}
                page = await self.call("GET", path, query=[(k, v) for k, v in query.items() if v], accept=accept)
                found += [_slim(each, plural) for each in page.get("items") or ()]
                more = (page.get("metadata") or {}).get("continue") or ""
                if not more:
                    self.allowed.add(right)
                    return found
        except Denied as error:
            self.forbidden.add(right)
            raise Denied(f"forbidden: {right}", code=error.code) from error

    async def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Sequence[tuple[str, str]] = (),
        accept: str = JSON,
    ) -> Document:
        """One call; tried again only where that may heal and does no harm. Raises: FairleadError.

        Whoever is stopped during a write waits for its answer: what is taken away afterwards was made before.
        """
        request = _request(method, path, body, query, accept)

        async def once() -> Document:
            return _document(await self._answer(request, self._patience))

        if method != "GET":
            return await _to_its_end(asyncio.create_task(once(), name="preflight.write"))
        return await retry(once, self.clock, self.client.rng, _TRIES, is_final=_is_late)

    async def judged(self, path: str, body: Mapping[str, Any]) -> tuple[int, str]:
        """(status, why it is refused) of an object that is sent and not made. Raises: FairleadError where no answer came."""
        answer = await self._answer(_request("POST", path, body, [("dryRun", "All")]), self._patience)
        return answer.status, str(error_of(answer)) if answer.status >= _REFUSED else ""

    async def verdict(self, path: str, body: Mapping[str, Any]) -> Document:
        """The same as facts; where no answer came, why."""
        try:
            status, message = await self.judged(path, body)
        except FairleadError as error:
            return {"message_mentions": str(error)}
        return {"http_status": status} | ({"message_mentions": message} if message else {})

    async def _answer(self, request: Request, patience: float) -> Response:
        try:
            async with asyncio.timeout(patience):
                answer = await self.client.transport.request(request)
        except TimeoutError as error:
            raise Unreachable(f"{request.method} {request.path}: no answer within {patience:g} s") from error
        if answer.status >= _REFUSED and (name := webhook_in(said := str(error_of(answer)))):
            self.silent_webhooks[name] = said
        return answer

    def webhook_failures(self) -> Sequence[Document]:
        """The webhooks that did not answer, as facts."""
        return [{"name": name, "message": said} for name, said in sorted(self.silent_webhooks.items())]


async def _to_its_end(asked: asyncio.Task[Document]) -> Document:
    """Its answer; whoever is stopped meanwhile goes on to be so when it has come. Raises: FairleadError."""
    try:
        return await asyncio.shield(asked)
    except asyncio.CancelledError:
        with suppress(FairleadError):
            await asked
        raise


def _slim(each: Document, plural: str) -> Document:
    """The object without what no check reads: all pods of a large cluster are held at once."""
    (each.get("metadata") or {}).pop("managedFields", None)
    if plural == "pods":
        spec = each.get("spec") or {}
        for name in _UNREAD_OF_PODS & spec.keys():
            del spec[name]
        for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
            for name in container.keys() - _READ_OF_CONTAINERS:
                del container[name]
    return each


_UNREAD_OF_PODS: Final = frozenset(
    ("affinity", "tolerations", "volumes", "topologySpreadConstraints", "ephemeralContainers")
)
_READ_OF_CONTAINERS: Final = frozenset(("name", "image", "resources", "restartPolicy"))


def _request(
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    query: Sequence[tuple[str, str]] = (),
    accept: str = JSON,
) -> Request:
    headers = {"accept": accept} | ({"content-type": JSON} if body is not None else {})
    content = json.dumps(body).encode() if body is not None else b""
    return Request(method=method, path=path, query=tuple(query), headers=headers, body=content)


def _document(answer: Response) -> Document:
    if answer.status >= _REFUSED:
        raise error_of(answer)
    try:
        return msgspec.json.decode(answer.body, type=Document) if answer.body else {}
    except msgspec.DecodeError as error:
        seen = answer.body[:60].decode(errors="replace")
        raise Permanent(f"the answer is none of a Kubernetes API: {seen!r}", code=_NO_API) from error


def _is_late(error: Retryable) -> bool:
    """Whether no answer came in time: whoever hangs once hangs again."""
    return isinstance(error.__cause__, TimeoutError)


def unknown(error: BaseException | str) -> Document:
    """A fact that could not be had, with the reason."""
    return {"unknown": str(error) or type(error).__name__}


async def known(fact: Awaitable[Any]) -> Any:
    """What was found; unknown with the reason where it could not be had."""
    try:
        return await fact
    except (FairleadError, msgspec.DecodeError) as error:
        return unknown(error)


async def known_or_none(fact: Awaitable[Any]) -> Any:
    """The same; None where the kind or the object is not there."""
    try:
        return await fact
    except NotFound:
        return None
    except (FairleadError, msgspec.DecodeError) as error:
        return unknown(error)


def word_of(error: BaseException | None) -> str:
    """The class of a failure in one word: dns, refused, tls, timeout, unauthorized, forbidden, not_found, block-page, else error."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if word := _word(error):
            return word
        error = error.__cause__ or error.__context__
    return "error"


def _word(error: BaseException) -> str:
    if kind := next((word for type_, word in _BY_TYPE.items() if isinstance(error, type_)), ""):
        return kind
    text = f"{type(error).__name__} {error}".lower()
    if isinstance(error, ssl.SSLError) or "certificate" in text:
        return "expired" if "expired" in text else "tls"
    if isinstance(error, FairleadError) and error.code in _BY_CODE:
        return _BY_CODE[error.code]
    return next((word for part, word in _BY_TEXT.items() if part in text), "")


_BY_TYPE: Final[dict[type[BaseException], str]] = {
    TimeoutError: "timeout",
    SignedOut: "unauthorized",
    Denied: "forbidden",
    NotFound: "not_found",
    ConnectionRefusedError: "refused",
}
_BY_CODE: Final = {"server-error": "server-error", _NO_API: "block-page"}
_BY_TEXT: Final = {
    "name or service not known": "dns",
    "gaierror": "dns",
    "dnserror": "dns",
    "refused": "refused",
    "connect call failed": "refused",
    "timed out": "timeout",
    "timeout": "timeout",
    "proxy": "proxy",
}
