"""Where the scheduler tells the agent, which runs elsewhere in the cluster, why work waits.

An explanation knows of every project, so only those are told whom the Kubernetes API recognises by the token they bring, one
made for this purpose: it opens nothing else.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from aiohttp import web

from fairlead.kube.client import Client
from fairlead.objects.json import JsonObject
from fairlead.objects.kinds import foreign
from fairlead.runtime.errors import FairleadError, NotFound, Retryable
from fairlead.runtime.listening import listening
from fairlead.runtime.logs import logger
from fairlead.wire.explain import AUDIENCE, PATH

_TOKEN_REVIEW = foreign("authentication.k8s.io", "v1", "TokenReview", "tokenreviews", namespaced=False)


class Explainer(Protocol):
    """What knows why."""

    async def explain(self, namespace: str, workload: str) -> bytes:
        """Give the explanation as JSON. Raises: NotFound."""
        ...


class Door:
    """Serves explanations to the `told` users of the Kubernetes API until cancelled."""

    def __init__(self, client: Client, explainer: Explainer, port: int, told: tuple[str, ...], host: str = "") -> None:
        self._client, self._explainer, self._told = client, explainer, told
        self._host, self.port = host or None, port
        self._log = logger("scheduler.door")

    async def run(self) -> None:
        """Raises: Invalid where the port is taken."""
        routes = [web.get(PATH + "/{namespace}/{workload}", self._explain)]
        async with listening(routes, self._host, self.port, "scheduler.explainPort") as self.port:
            await asyncio.Event().wait()

    async def _explain(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").partition(" ")[2]
        asked = request.match_info
        try:
            user = await self._user(token)
            if user not in self._told:
                self._log.warning("explain.refused", user=user or "nobody")
                return web.Response(status=403, text="Only the agent of this cluster is told.")
            return web.Response(body=await self._explainer.explain(asked["namespace"], asked["workload"]))
        except NotFound as error:
            return web.Response(status=404, text=str(error))
        except Retryable as error:
            return web.Response(status=503, text=str(error))
        except FairleadError as error:
            return web.Response(status=500, text=str(error))

    async def _user(self, token: str) -> str:
        """The user that the token is of; empty for one that is none, or made for something else."""
        if not token:
            return ""
        review: JsonObject = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "metadata": {},
            "spec": {"token": token, "audiences": [AUDIENCE]},
        }
        answer = await self._client.create(_TOKEN_REVIEW, review)
        status = answer.get("status")
        if not isinstance(status, dict) or not status.get("authenticated"):
            return ""
        user = status.get("user")
        return str(user.get("username", "")) if isinstance(user, dict) else ""
