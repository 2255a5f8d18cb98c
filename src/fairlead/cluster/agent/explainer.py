"""The scheduler, asked across the cluster: whoever holds its lease knows why work waits."""

from __future__ import annotations

from pathlib import Path

import aiohttp

from fairlead.kube.client import Client
from fairlead.objects.kinds import LEASE as LEASE_KIND
from fairlead.runtime.errors import Bug, Denied, NotFound, Unreachable
from fairlead.wire.explain import LEASE, PATH

_ANSWER_SECONDS = 20.0


class RemoteExplainer:
    """An `Explainer` that asks the leading scheduler. `token_file`: by which it knows us."""

    def __init__(self, client: Client, namespace: str, token_file: str) -> None:
        self._client, self._namespace, self._token = client, namespace, Path(token_file)

    async def explain(self, namespace: str, workload: str) -> bytes:
        """Give the explanation as JSON.

        Raises: NotFound for what the scheduler has no pod of; Unreachable where no scheduler acts or answers; Denied; Bug.
        """
        address = await self._address()
        try:
            headers = {"Authorization": f"Bearer {self._token.read_text().strip()}"}
            timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(f"http://{address}{PATH}/{namespace}/{workload}", headers=headers) as answer,
            ):
                return _body(answer.status, await answer.read())
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unreachable(
                f"The scheduler at {address} does not answer: {error or type(error).__name__}."
            ) from error

    async def _address(self) -> str:
        lease = await self._client.find(LEASE_KIND, LEASE, self._namespace)
        address = (lease.spec.holder_identity or "" if lease else "").rpartition("_")[2]
        if ":" not in address:
            raise Unreachable("No scheduler acts in this cluster.", hint="Its pods say why: are they running?")
        return address


def _body(status: int, body: bytes) -> bytes:
    if status == 200:
        return body
    text = body.decode(errors="replace")
    if status == 404:
        raise NotFound(text, code="no-pods")
    if status == 403:
        raise Denied(text)
    if status == 503:
        raise Unreachable(text)
    raise Bug(text)
