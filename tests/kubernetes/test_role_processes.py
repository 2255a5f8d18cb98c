"""The whole path with every role as a process of its own: REST, control plane, agent, controllers, scheduler, a real API server."""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

import pytest
from tests.kubernetes.conftest import CLOCK, NUMBERS, ON_EACH
from tests.kubernetes.processes import Cluster, processes, until
from tests.parts.apiserver import ApiServer, free_ports

from fairlead.kube.client import Client, Limits
from fairlead.kube.errors import AlreadyExists
from fairlead.kube.transport import Request, Transport
from fairlead.objects import kinds
from fairlead.objects.builtin import Namespace, Node
from fairlead.objects.json import JsonObject
from fairlead.objects.meta import ObjectMeta
from fairlead.wire.explain import AUDIENCE

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(600), ON_EACH]

_TOKEN_SECONDS = 600.0
AGENT = "system:serviceaccount:fairlead:fairlead-agent"


class Product:
    """Everything, and the command line of a person who has an access key."""

    def __init__(self, cluster: Cluster, client: Client, node: str, url: str) -> None:
        self.cluster, self.client, self.node, self.url = cluster, client, node, url
        self._key: dict[str, str] = {}
        self._signed: tuple[float, str] | None = None

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The finished command."""
        command = [sys.executable, "-m", "fairlead.cli.main", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=240, env=self.environment())

    def environment(self) -> dict[str, str]:
        """In which the command line finds the control plane and the person's key."""
        return {**os.environ, "FAIRLEAD_URL": self.url, **self._key, "FAIRLEAD_DATA": str(self.cluster.folder / "none")}

    @contextlib.contextmanager
    def forwarded(self, name: str, port: int) -> Iterator[int]:
        """The port of this machine at which that of a workload is reached."""
        command = [sys.executable, "-m", "fairlead.cli.main", "port-forward", name, f"0:{port}", "-p", "team"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=self.environment()) as running:
            assert running.stdout is not None
            try:
                yield int(running.stdout.readline().split(" -> ")[0].rpartition(":")[2])
            finally:
                running.terminate()

    def json(self, *words: str) -> Any:
        """What a command that must succeed says to programs."""
        done = self.run(*words, "-o", "json")
        assert done.returncode == 0, (words, done.stderr, self.cluster.logs())
        return json.loads(done.stdout)

    def phase(self, name: str) -> str:
        """How a workload fares. Asked again and again, so no command is started for it."""
        wanted = quote(f"name=={name},projectName==team")
        (found,) = _asked(f"{self.url}/api/v1/workloads?filterBy={wanted}", token=self._token)["workloads"]
        return str(found["phase"])

    def sign_in(self, key: dict[str, str]) -> None:
        """From now on as whoever that access key is of."""
        self._key = {"FAIRLEAD_CLIENT_ID": key["id"], "FAIRLEAD_CLIENT_SECRET": key["secret"]}

    @property
    def _token(self) -> str:
        """Of the person with the key; a new one well before it ends."""
        if self._signed is None or time.monotonic() > self._signed[0] + _TOKEN_SECONDS:
            key = {"clientID": self._key["FAIRLEAD_CLIENT_ID"], "clientSecret": self._key["FAIRLEAD_CLIENT_SECRET"]}
            told = _asked(f"{self.url}/api/v1/token", {"grantType": "client_credentials", **key})
            self._signed = (time.monotonic(), str(told["accessToken"]))
        return self._signed[1]


@pytest.fixture
async def product(server: ApiServer, real: Transport, tmp_path: Path) -> AsyncIterator[Product]:
    """A control plane and, once it has given out a secret, two schedulers and one of each other role."""
    client = Client(real, CLOCK, Random(5), Limits(call=10, watch=60))
    for name in ("fairlead", "kube-system"):
        with contextlib.suppress(AlreadyExists):
            await client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name=name)))
    node = f"node-{next(NUMBERS)}"
    await _a_node(client, node)
    port, explain, other = free_ports(3)
    url = f"http://127.0.0.1:{port}"
    with processes(
        server.write_kubeconfig(tmp_path / "kubeconfig"), tmp_path, **served_settings(tmp_path, port)
    ) as cluster:
        cluster.start("server")
        found = Product(cluster, client, node, url)
        found.sign_in(until(lambda: _access_key(url)))
        made = found.json("cluster", "create", f"real-{node}")
        (tmp_path / "secret").write_text(made["client_secret"])
        (tmp_path / "token").write_text(await _agent_token(client, real))
        cluster.settings["controllers"] = {"webhooks": False}
        cluster.settings["agent"] = {
            "url": url,
            "cluster": made["uuid"],
            "secretFile": str(tmp_path / "secret"),
            "tokenFile": str(tmp_path / "token"),
        }
        for at in (explain, other):
            cluster.start("scheduler", FAIRLEAD_SCHEDULER_EXPLAIN_PORT=str(at))
        cluster.start("controllers")
        cluster.start("agent")
        yield found
    await client.delete(kinds.NODE, node)


def served_settings(folder: Path, port: int) -> dict[str, JsonObject]:
    """The section of a control plane on that port, with its keys beside it."""
    (folder / "key").write_text("ab" * 32)
    (folder / "password").write_text("the-administrators-own")
    serves: JsonObject = {
        "databaseUrl": f"sqlite+aiosqlite:///{folder}/control-plane.db",
        "host": "127.0.0.1",
        "port": port,
        "signingKeyFile": str(folder / "key"),
        "adminPasswordFile": str(folder / "password"),
    }
    return {"server": serves}


async def test_work_goes_the_whole_way_between_processes(product: Product) -> None:
    team = product.run("project", "create", "team", "--gpus", "4")
    assert team.returncode == 0, (team.stderr, product.cluster.logs())
    _submit(product, "one", "-g", "1")
    until(lambda: product.phase("one") == "Initializing")
    (pod,) = (await product.client.list(kinds.POD, "runai-team")).items
    assert pod.spec.node_name == product.node

    _submit(product, "big", "-g", "16")
    until(lambda: product.phase("big") == "Pending")
    assert until(lambda: product.json("explain", "big", "-p", "team")["reasons"])

    await _a_scheduler_that_is_killed_is_followed_by_the_other(product)


async def _a_scheduler_that_is_killed_is_followed_by_the_other(product: Product) -> None:
    both = [p for p in product.cluster.processes if p.role == "scheduler"]
    (leader,) = (p for p in both if p.leads())
    (other,) = (p for p in both if p is not leader)
    assert other.says("/readyz") == "ok\n"
    assert not other.leads()
    leader.popen.kill()
    _submit(product, "after", "-g", "1")
    until(other.leads)
    until(lambda: product.phase("after") == "Initializing")
    until(lambda: product.json("explain", "big", "-p", "team")["reasons"])


async def test_the_scheduler_tells_nobody_but_the_agent(product: Product) -> None:
    (leader,) = until(lambda: [p for p in product.cluster.processes if p.role == "scheduler" and p.leads()])
    lease = await product.client.get(kinds.LEASE, "fairlead-scheduler", "fairlead")
    address = (lease.spec.holder_identity or "").rpartition("_")[2]
    assert until(lambda: _answer(f"http://{address}/explain/v1/runai-team/big", "not-a-token")) == 403
    assert leader.popen.poll() is None


def _answer(url: str, token: str) -> int:
    """The status of what is answered to the bearer of a token; 0 where nobody listens: a leader's door opens a moment late."""
    asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code
    except urllib.error.URLError:
        return 0


def _submit(product: Product, name: str, *words: str) -> None:
    done = product.run("submit", name, "-p", "team", "-i", "x", *words, "--", "sleep", "600")
    assert done.returncode == 0, (done.stderr, product.cluster.logs())


async def _a_node(client: Client, name: str) -> None:
    await client.create(kinds.NODE, Node(metadata=ObjectMeta(name=name)))
    amounts: JsonObject = {"cpu": "64", "memory": "512Gi", "pods": "110", "nvidia.com/gpu": "8"}
    ready: JsonObject = {"type": "Ready", "status": "True"}
    status: JsonObject = {"capacity": amounts, "allocatable": {**amounts}, "conditions": [ready]}
    await client.patch_status(kinds.NODE, name, status)
    await client.patch(kinds.NODE, name, {"spec": {"taints": None}})


async def _agent_token(client: Client, real: Transport) -> str:
    """A token of the agent's service account, as the kubelet puts it into its pod."""
    account: JsonObject = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "fairlead-agent"}}
    service_account = kinds.foreign("", "v1", "ServiceAccount", "serviceaccounts")
    with contextlib.suppress(AlreadyExists):
        await client.create(service_account, account, "fairlead")
    ask = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": [AUDIENCE]}}
    path = "/api/v1/namespaces/fairlead/serviceaccounts/fairlead-agent/token"
    headers = {"Content-Type": "application/json"}
    answer = await real.request(Request(method="POST", path=path, headers=headers, body=json.dumps(ask).encode()))
    return str(json.loads(answer.body)["status"]["token"])


def _asked(url: str, body: dict[str, str] | None = None, *, token: str = "", ca: Path | None = None) -> Any:
    """What a control plane answers to a GET, or to a POST of a body. Raises: OSError, also for a refusal."""
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(url, json.dumps(body).encode() if body else None, headers)
    context = ssl.create_default_context(cafile=ca) if ca else None
    with urllib.request.urlopen(request, timeout=10, context=context) as answer:
        return json.loads(answer.read())


def _access_key(url: str, ca: Path | None = None) -> dict[str, str] | None:
    """A key of the administrator, by password; None while the control plane does not answer. `ca`: its authority."""
    by_password = {"grantType": "password", "username": "admin", "password": "the-administrators-own"}
    try:
        signed = _asked(f"{url}/api/v1/token", by_password, ca=ca)
    except OSError:
        return None
    key = _asked(f"{url}/api/v1/access-keys", {"name": "test"}, token=signed["accessToken"], ca=ca)
    return {"id": key["clientId"], "secret": key["clientSecret"]}
