"""The audit log counts what a client writes: it is how writes a pod are held to their bound."""

from __future__ import annotations

import asyncio
import json
from random import Random

import pytest
from tests.parts.apiserver import ApiServer, api_server
from tests.parts.build import Unavailable

from fairlead.kube.client import Client
from fairlead.kube.credentials import Credentials
from fairlead.kube.http import HttpTransport
from fairlead.objects.builtin import Namespace
from fairlead.objects.kinds import NAMESPACE, POD
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.pod import Container, Pod, PodSpec
from fairlead.runtime.clock import SystemClock
from fairlead.runtime.errors import Denied, SignedOut


async def _use(server: ApiServer) -> None:
    clock = SystemClock()
    async with HttpTransport(Credentials(url=server.url, ca=server.ca, token=server.token), clock) as transport:
        client = Client(transport, clock, Random(1))
        await client.create(NAMESPACE, Namespace(metadata=ObjectMeta(name="counted")))
        pod = Pod(metadata=ObjectMeta(name="a"), spec=PodSpec(containers=(Container(name="c", image="x"),)))
        await client.create(POD, pod, "counted")
        await client.bind("a", "counted", "n1")
    for token, refusal in ((server.user_token, Denied), ("nobody", SignedOut)):
        async with HttpTransport(Credentials(url=server.url, ca=server.ca, token=token), clock) as transport:
            with pytest.raises(refusal):
                await Client(transport, clock, Random(1)).list(POD, "counted")


@pytest.mark.kubernetes
def test_the_audit_log_names_each_write_of_a_client_once() -> None:
    try:
        with api_server(audit=True) as server:
            asyncio.run(_use(server))
            assert server.audit_log is not None
            entries = [json.loads(line) for line in server.audit_log.read_text().splitlines()]
    except Unavailable as reason:
        pytest.skip(str(reason))
    writes = [
        (entry["verb"], entry["objectRef"].get("subresource", ""), entry["responseStatus"]["code"])
        for entry in entries
        if entry["user"].get("username") == "admin" and entry.get("objectRef", {}).get("namespace") == "counted"
    ]
    assert writes == [("create", "", 201), ("create", "binding", 201)]
