"""The rights of the chart's accounts: each role, as a process with its own account, is refused nothing, and has nothing it does not use.

On both versions of Kubernetes: neither asks of the roles what the other does not. The node's agent, which needs a kubelet:
`tests/realcluster/test_node_rights.py`.
"""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.kubernetes import binding
from tests.kubernetes.conftest import CLOCK, ON_EACH
from tests.kubernetes.processes import processes, until
from tests.kubernetes.rights import Right, granted, used
from tests.kubernetes.test_chart import CHART, Helm
from tests.kubernetes.test_role_processes import Product, _a_node, _access_key, served_settings
from tests.parts.apiserver import ApiServer, api_server, free_ports
from tests.parts.build import Unavailable
from tests.parts.helm import helm

from fairlead.kube.client import Client, Limits
from fairlead.kube.credentials import Credentials
from fairlead.kube.http import HttpTransport
from fairlead.kube.transport import Request, Transport
from fairlead.objects import fields, kinds
from fairlead.objects.builtin import Namespace
from fairlead.objects.json import JsonObject
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.organisation import ClusterConfig
from fairlead.wire.explain import AUDIENCE

pytestmark = [pytest.mark.kubernetes, pytest.mark.slow, pytest.mark.timeout(900), ON_EACH]

_READ = {
    "apps": ("deployments", "replicasets", "daemonsets", "statefulsets"),
    "batch": ("cronjobs",),
    "kubeflow.org": ("pytorchjobs", "tfjobs", "xgboostjobs", "jaxjobs", "paddlejobs", "mpijobs"),
    "ray.io": ("rayclusters", "rayjobs", "rayservices"),
    "jobset.x-k8s.io": ("jobsets",),
    "leaderworkerset.x-k8s.io": ("leaderworkersets",),
}
UNSEEN: dict[str, dict[Right, str]] = {
    "controllers": {
        **{(g, r, "get"): "owners of other kinds are read as the Job here is" for g, rs in _READ.items() for r in rs},
        ("", "pods", "get"): "a pod that made others is read as the Job here is",
        ("", "pods/status", "patch"): "a pod whose owner cannot be read is told so",
        ("scheduling.run.ai", "podgroups", "patch"): "an owner of another kind that changes its size changes its group",
        ("", "namespaces", "get"): "a namespace that came into being between looking and making is read",
        ("scheduling.run.ai", "queues", "get"): "a queue that came into being between looking and making is read",
    },
    "scheduler": {("", "pods/eviction", "create"): "nothing here is moved to make room"},
    "agent": {
        ("", "pods/exec", "create"): "newer API servers ask for it where older ones ask for get",
        ("", "pods/portforward", "create"): "the same",
        (
            "fairlead.dev",
            "nodepools",
            "patch",
        ): "what somebody else changed is put back when the connection is made anew",
    },
}
"""Rights for what this test does not bring about, and what that is."""


class Rights:
    """The product with an account a role, on an API server that notes every call."""

    def __init__(self, server: ApiServer, product: Product, client: Client) -> None:
        self.server, self.product, self.client = server, product, client

    def used(self, role: str) -> tuple[set[Right], dict[Right, str]]:
        """What the account used, and what it was refused."""
        assert self.server.audit_log is not None
        return used(self.server.audit_log, f"system:serviceaccount:fairlead:fairlead-{role}")


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[ApiServer]:
    """One that knows nothing of us yet, and notes every call."""
    try:
        with api_server(version=request.param, audit=True) as running:
            yield running
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
async def rights(server: ApiServer, tmp_path: Path) -> AsyncIterator[Rights]:
    """The chart's objects, its CRDs made as its job makes them, and its processes with its accounts."""
    try:
        program = Helm(helm(3), tmp_path, server.write_kubeconfig(tmp_path / "kubeconfig"))
    except Unavailable as reason:
        pytest.skip(str(reason))
    credentials = Credentials(url=server.url, ca=server.ca, token=server.token)
    async with HttpTransport(credentials, CLOCK) as transport:
        client = Client(transport, CLOCK, Random(5), Limits(call=10, watch=60))
        port, explain, hook = free_ports(3)
        with processes(tmp_path / "kubeconfig", tmp_path, **served_settings(tmp_path, port)) as cluster:
            cluster.start("server")
            product = Product(cluster, client, "n1", f"http://127.0.0.1:{port}")
            product.sign_in(until(lambda: _access_key(product.url)))
            made = product.json("cluster", "create", "here")
            values = f"agent.url={product.url},agent.cluster={made['uuid']},agent.secret={made['client_secret']}"
            values += ",node.mps.enabled=true"
            program.ok(
                "install", "fairlead", str(CHART), "-n", "fairlead", "--create-namespace", "--no-hooks", "--set", values
            )
            _apply(tmp_path, program, values)
            accounts = {role: await _account(transport, server, tmp_path, role) for role in ("crds", *ROLES)}
            cluster.start("crds", FAIRLEAD_KUBE_KUBECONFIG=accounts["crds"]).popen.wait(60)
            await _a_node(client, "n1")
            cluster.settings["agent"] = _agent(tmp_path, product.url, made, await _token(transport, "agent", AUDIENCE))
            cluster.settings["controllers"] = {
                "webhookNames": ["127.0.0.1"],
                "daily": True,
                "dailySettleSeconds": 2,
                "dailyLookSeconds": 2,
            }
            cluster.settings["reservation"] = {"image": "pause"}
            cluster.settings["scheduler"] = {"explainPort": explain}
            cluster.settings["mps"] = {"pods": "asked"}
            for role in ("controllers", "scheduler", "agent"):
                cluster.start(role, FAIRLEAD_KUBE_KUBECONFIG=accounts[role])
            await _certificate(client, tmp_path)
            cluster.settings["admission"] = {
                "certificates": str(tmp_path / "webhook"),
                "port": hook,
                "host": "127.0.0.1",
            }
            await _reached_at(client, hook)
            cluster.start("admission", FAIRLEAD_KUBE_KUBECONFIG=accounts["admission"])
            yield Rights(server, product, client)


ROLES = ("scheduler", "controllers", "admission", "agent")


async def test_each_account_may_do_what_its_role_does_and_nothing_else(rights: Rights) -> None:
    product = rights.product
    until(lambda: all(p.says("/readyz") for p in product.cluster.processes if p.role in ROLES))
    await rights.client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name="runai-before")))
    for words in ORGANISED:
        assert product.run(*words).returncode == 0, words
    for name, words in WORK.items():
        _submit(product, name, *words)
    until(lambda: all(product.phase(name) == "Initializing" for name in WORK if name != "big"))
    assert until(lambda: product.json("explain", "big", "-p", "team")["reasons"])
    await _run_and_end(rights.client, "ends", "shell", "pair")
    for words in (("logs", "one"), ("exec", "one", "--", "true")):
        product.run(*words[:2], "-p", "team", *words[2:])  # no kubelet answers; the API server was asked
    with product.forwarded("one", 80) as port, socket.create_connection(("127.0.0.1", port), 30) as connection:
        assert connection.recv(1) == b"", "and so it was for this"
    await _a_job(rights.client)
    await binding.everything(rights.client)
    _submit(product, "owed", "-g", "2", project="other")
    until(lambda: _evicted(product, 1))
    _submit(product, "owed-pair", "-g", "1", "--workers", "2", project="other")
    until(lambda: _evicted(product, 2))
    for verb in ("cordon", "uncordon"):
        assert product.run("node", verb, "n1").returncode == 0
    for verb in ("suspend", "delete"):
        assert product.run(verb, "seven", "gang", "desk", "-p", "team").returncode == 0
    until(lambda: "gang" not in product.run("list", "-p", "team").stdout)

    checked = await _checked(rights.client)
    assert {each.type for each in checked.status.conditions} == {"Prerequisites", "ServicesReady"}
    seen = {each.code: each.verdict for each in checked.status.prerequisites.checks}
    assert (seen["openshift-version"], seen["kubernetes-apis"]) == ("pass", "pass")
    assert seen["storage-class"] == "fail", "there is none, and that may be read"
    asked = ("permissions", "pod-security", "leftovers")
    assert {code: seen[code] for code in asked} == dict.fromkeys(asked, "pass"), checked.status.prerequisites

    may = granted(product.cluster.folder / "kubeconfig", ROLES)
    told = []
    for role in ROLES:
        did, refused = rights.used(role)
        told += [f"{role} was refused: {right} {name}" for right, name in sorted(refused.items())]
        told += [
            f"{role} has and never used: {right}" for right in sorted(may[role] - did - UNSEEN.get(role, {}).keys())
        ]
    assert not told, "\n".join(told)


async def _checked(client: Client) -> ClusterConfig:
    """The ClusterConfig once both its conditions were written."""
    import asyncio

    async with asyncio.timeout(60):
        while True:
            found = await client.find(kinds.CLUSTER_CONFIG, "fairlead")
            if found is not None and found.status.prerequisites.at and len(found.status.conditions) > 1:
                return found
            await asyncio.sleep(0.2)


ORGANISED = (
    ("department", "create", "d", "--gpus", "2"),
    ("department", "update", "d", "--gpus", "3"),
    ("department", "delete", "d"),
    ("nodepool", "create", "p", "--label", "a=b"),
    ("nodepool", "delete", "p"),
    ("project", "create", "team", "--gpus", "3"),
    ("project", "update", "team", "--gpus", "4"),
    ("project", "create", "before", "--gpus", "1"),
    ("project", "delete", "before"),
    ("project", "create", "other", "--gpus", "4"),
)
WORK = {
    **{name: ("-g", "1") for name in ("one", "two", "three", "four", "five", "six", "seven")},
    "gang": ("--workers", "2"),
    "desk": ("--interactive",),
    "ends": (),
    "shell": ("--interactive",),
    "pair": ("--workers", "2"),
    "big": ("-g", "16"),
}


async def _run_and_end(client: Client, *names: str) -> None:
    """As a kubelet reports of those workloads' pods; the others only begin to run."""
    for pod in (await client.list(kinds.POD, "runai-team")).items:
        ends = pod.metadata.labels.get(fields.WORKLOAD) in names
        status: JsonObject = {"phase": "Succeeded" if ends else "Running"}
        if pod.spec.node_name:
            await client.patch_status(kinds.POD, pod.metadata.name, status, pod.metadata.namespace)


def _evicted(product: Product, least: int) -> bool:
    found = product.json("list", "-p", "team")
    return sum(product.json("describe", w["name"], "-p", "team")["evictions"] for w in found) >= least


def _submit(product: Product, name: str, *words: str, project: str = "team") -> None:
    done = product.run("submit", name, "-p", project, "-i", "x", *words, "--", "sleep", "600")
    assert done.returncode == 0, (done.stderr, product.cluster.logs())


def _apply(folder: Path, program: Helm, values: str) -> None:
    """The hook's account and rights, without its Job."""
    hooks = [
        o for o in program.objects("--set", values) if o["metadata"]["name"] == "fairlead-crds" and o["kind"] != "Job"
    ]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": hooks})
    command = ["kubectl", "--kubeconfig", str(folder / "kubeconfig"), "apply", "-f", "-"]
    subprocess.run(command, input=text, text=True, check=True, capture_output=True)


def _agent(folder: Path, url: str, made: dict[str, str], token: str) -> JsonObject:
    (folder / "secret").write_text(made["client_secret"])
    (folder / "token").write_text(token)
    return {
        "url": url,
        "cluster": made["uuid"],
        "secretFile": str(folder / "secret"),
        "tokenFile": str(folder / "token"),
    }


async def _account(transport: Transport, server: ApiServer, folder: Path, role: str) -> str:
    """A kubeconfig of that role's account."""
    document = json.loads((folder / "kubeconfig").read_text())
    document["users"][0]["user"] = {"token": await _token(transport, role)}
    file = folder / f"kubeconfig-{role}"
    file.write_text(json.dumps(document))
    return str(file)


async def _token(transport: Transport, role: str, audience: str = "") -> str:
    ask = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": [audience] if audience else []},
    }
    path = f"/api/v1/namespaces/fairlead/serviceaccounts/fairlead-{role}/token"
    headers = {"Content-Type": "application/json"}
    answer = await transport.request(Request(method="POST", path=path, headers=headers, body=json.dumps(ask).encode()))
    return str(json.loads(answer.body)["status"]["token"])


async def _certificate(client: Client, folder: Path) -> None:
    """As a kubelet mounts the secret of the webhooks."""
    import asyncio
    import base64

    async with asyncio.timeout(60):
        while True:
            secret = await client.find(kinds.SECRET, "fairlead-webhook", "fairlead")
            if secret is not None and "tls.crt" in secret.data:
                break
            await asyncio.sleep(0.2)
    (folder / "webhook").mkdir()
    for key, value in secret.data.items():
        (folder / "webhook" / key).write_bytes(base64.b64decode(value))


async def _reached_at(client: Client, port: int) -> None:
    """The webhooks by address: no Service leads to a process of this machine."""
    for kind, path in ((kinds.MUTATING_WEBHOOK, "mutate"), (kinds.VALIDATING_WEBHOOK, "validate")):
        found: Any = await client.get(kind, "fairlead")
        hook = found["webhooks"][0]
        hook["clientConfig"] = {"url": f"https://127.0.0.1:{port}/{path}", "caBundle": hook["clientConfig"]["caBundle"]}
        await client.patch(kind, "fairlead", {"webhooks": [hook]})


async def _a_job(client: Client) -> None:
    """A pod that a Job made, as its controller does, for us to schedule."""
    container: JsonObject = {"name": "c", "image": "x"}
    template: JsonObject = {"spec": {"containers": [container], "schedulerName": "fairlead", "restartPolicy": "Never"}}
    job = kinds.foreign("batch", "v1", "Job", "jobs")
    body: JsonObject = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j"},
        "spec": {"template": template},
    }
    made: Any = await client.create(job, body, "runai-team")
    owner: JsonObject = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": "j",
        "uid": made["metadata"]["uid"],
        "controller": True,
    }
    pod: JsonObject = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "j-0", "ownerReferences": [owner]},
        "spec": template["spec"],
    }
    await client.create(kinds.foreign("", "v1", "Pod", "pods"), pod, "runai-team")
