"""A bundle of a Fairlead that runs here: secrets that were planted on the way of each part are not in it, and names are not where they are
to be hidden."""

from __future__ import annotations

import asyncio
import io
import json
import re
import tarfile
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address, ip_network
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.cli.conftest import Cli

from fairlead.kube.client import Client
from fairlead.kube.credentials import find
from fairlead.kube.http import HttpTransport
from fairlead.objects import kinds
from fairlead.objects.builtin import ConfigMap, Event, Namespace, Secret
from fairlead.objects.meta import ObjectMeta, ObjectReference
from fairlead.runtime.clock import SystemClock
from fairlead.simulator.scenario import loads

KEY = "-----BEGIN EC PRIVATE KEY-----MHcCAQEEIPlantedKeyOnOneLine-----END EC PRIVATE KEY-----"
LOGGED = (
    "harmless-marker of the log",
    "token=PlantedToken1",
    "connects to https://mira:PlantedPass2@registry.zebra.example/v2/",
    f"key {KEY}",
    "-----BEGIN PRIVATE KEY-----",
    "PlantedLine3",
    "-----END PRIVATE KEY-----",
    "plugin version 1.34.2.1 dials 203.0.113.77:6443 and [fd12:3456:789a::77]:6443",
    "route 10.83.0.0/16 has 10.83.7.21",
    '{"event":"placed","project":"gone-project","node":"gone-node"}',
)
SECRETS = (
    "PlantedToken1",
    "PlantedPass2",
    "PlantedKeyOnOneLine",
    "PlantedLine3",
    "PlantedEnv4",
    "PlantedArg5",
    "PlantedNote6",
    "PlantedBearer7",
    "PlantedData8",
    "UGxhbnRlZERhdGE4",
    "PlantedMap9",
    "PlantedProxy10",
    "PlantedEvent11",
    "PlantedOwnEnv12",
)
HIDDEN = (
    "zebra-lab",
    "mira.vogel",
    "registry.zebra.example",
    "proxy.zebra.example",
    "gone-project",
    "gone-node",
    "yak-training",
)
"""Project (and with it namespace and queue), person, hosts, what only a log tells of, workload."""

ADDRESSES = ("203.0.113.77", "fd12:3456:789a::77", "10.83.7.21", "10.83.0.0", "10.71.9.33")


@pytest.fixture(scope="module")
def planted(up: Cli) -> Cli:
    """The running one with secrets in everything that a bundle looks at."""
    up.ok("project", "create", "zebra-lab", "--gpus", "1")
    words = ["-i", "registry.zebra.example/ml/yak:1", "-e", "API_TOKEN=PlantedOwnEnv12"]
    up.ok("submit", "yak-training", "-p", "zebra-lab", *words, "--", "sh", "-c", "echo PlantedArg5; sleep 600")
    up.until("list", "-p", "zebra-lab", told="Running", seconds=90)
    with ThreadPoolExecutor(1) as thread:  # a browser of other tests may have a loop in this one
        thread.submit(asyncio.run, _plant(up.data / "kubeconfig")).result()
    return up


async def _plant(kubeconfig: Path) -> None:
    clock = SystemClock()
    async with HttpTransport(find({}, str(kubeconfig)), clock) as transport:
        client = Client(transport, clock, Random(1))
        await client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name="fairlead")))
        secret = Secret(metadata=ObjectMeta(name="agent"), data={"secret": "UGxhbnRlZERhdGE4"})
        await client.create(kinds.SECRET, secret, "fairlead")
        settings = "agent:\n  proxy: http://mira:PlantedProxy10@proxy.zebra.example:3128\n  url: https://10.71.9.33\nlog: {level: info}\n"
        for name, data in (("fairlead-settings", {"settings.yaml": settings}), ("other", {"a": "PlantedMap9"})):
            await client.create(kinds.CONFIG_MAP, ConfigMap(metadata=ObjectMeta(name=name), data=data), "fairlead")
        await _pod(client)
        about = ObjectReference(kind="Pod", name="scheduler-1", namespace="fairlead")
        told = Event(
            metadata=ObjectMeta(name="e1"),
            involved_object=about,
            reason="Failed",
            message="harmless-event Bearer PlantedEvent11",
        )
        await client.create(kinds.EVENT, told, "fairlead")


async def _pod(client: Client) -> None:
    """A pod of ours, with an environment, a note and a log."""
    script = "\n".join(f"echo '{line}'" for line in LOGGED) + "\nsleep 600"
    body: Any = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "scheduler-1",
            "annotations": {
                "example.com/note": "PlantedNote6",
                "fairlead.dev/eviction-reason": "Authorization: Bearer PlantedBearer7",
                "fairlead.dev/requested-by": "mira.vogel@zebra.example",
            },
        },
        "spec": {
            "containers": [
                {
                    "name": "scheduler",
                    "image": "x",
                    "command": ["sh", "-c", script],
                    "env": [{"name": "A", "value": "PlantedEnv4"}],
                }
            ]
        },
    }
    pods = kinds.foreign("", "v1", "Pod", "pods")
    made: Any = await client.create(pods, body, "fairlead")
    node = (await client.list(kinds.NODE)).items[0].metadata.name
    await client.bind("scheduler-1", "fairlead", node, uid=made["metadata"]["uid"])
    async with asyncio.timeout(60):
        while "harmless-marker" not in await _log(client):  # noqa: ASYNC110  # a log has no event
            await asyncio.sleep(0.2)


async def _log(client: Client) -> str:
    from fairlead.runtime.errors import FairleadError

    try:
        return b"".join([piece async for piece in client.logs("scheduler-1", "fairlead")]).decode()
    except FairleadError:
        return ""


def a_bundle(cli: Cli, folder: Path, *words: str) -> dict[str, str]:
    """Name -> text of the files of a bundle."""
    file = folder / "bundle.tar.gz"
    cli.ok("support", "bundle", "-f", str(file), *words)
    assert file.stat().st_mode & 0o777 == 0o600
    with tarfile.open(file) as tar:
        found = {each.name: (tar.extractfile(each) or io.BytesIO()).read().decode() for each in tar.getmembers()}
    return {name.removeprefix("fairlead-support/"): text for name, text in found.items()}


def test_no_secret_is_in_it_though_all_that_carried_them_is(planted: Cli, tmp_path: Path) -> None:
    files = a_bundle(planted, tmp_path)
    whole = "\n".join([*files, *files.values()])
    assert [secret for secret in SECRETS if secret in whole] == []
    assert "harmless-marker of the log" in files["logs/fairlead/scheduler-1/scheduler.log"]
    assert "harmless-event" in files["objects/events.json"]
    assert "proxy.zebra.example" in files["settings/fairlead-settings/settings.yaml"]
    pods = {each["metadata"]["name"]: each for each in json.loads(files["objects/pods.json"])}
    assert pods["scheduler-1"]["metadata"]["annotations"]["fairlead.dev/eviction-reason"].startswith("Authorization")
    assert {p["metadata"]["namespace"] for p in pods.values()} >= {"fairlead", "runai-zebra-lab"}
    (work,) = [w for w in json.loads(files["objects/trainings.json"]) if w["metadata"]["name"] == "yak-training"]
    assert work["status"]["phase"] == "Running"
    assert "env" not in work["spec"]
    names = {each["metadata"]["name"] for each in json.loads(files["objects/projects.json"])}
    assert names >= {"team", "zebra-lab"}


def test_it_holds_what_the_scheduler_decides_on_and_what_preflight_knows(planted: Cli, tmp_path: Path) -> None:
    files = a_bundle(planted, tmp_path)
    snapshot = json.loads(files["scheduler/default.json"])
    assert [q["name"] for q in snapshot["queues"] if q["name"] == "zebra-lab"] == ["zebra-lab"]
    assert len(snapshot["nodes"]) == 1
    assert any(p["name"].startswith("yak-training") for p in snapshot["pods"])
    played = loads(files["scheduler/default.scenario.yaml"])
    assert [gang.pods[0].state for gang in played.gangs if gang.name == "yak-training"] == ["running"]
    report = json.loads(files["preflight/report.json"])
    assert {c["code"]: c["verdict"] for c in report["checks"]}["kubernetes-version"] == "pass"
    assert json.loads(files["preflight/facts.json"])["server"]["git_version"]
    assert json.loads(files["versions.json"])["kubernetes"]
    assert "ready" in files["logs/fairlead-up.log"]
    manifest = json.loads(files["manifest.json"])
    assert {each["name"] for each in manifest["files"]} == set(files) - {"manifest.json"}
    assert manifest["redacted"]
    assert "Secrets of Kubernetes" in manifest["never_gathered"]


def test_hidden_names_are_nowhere_and_the_same_in_all_files(planted: Cli, tmp_path: Path) -> None:
    node = next(iter(planted.json("node", "list")))["name"]
    plain = a_bundle(planted, tmp_path)
    (tmp_path / "hidden").mkdir()
    files = a_bundle(planted, tmp_path / "hidden", "--anonymise")
    before, whole = "\n".join([*plain, *plain.values()]), "\n".join([*files, *files.values()])
    assert [name for name in (*HIDDEN, node) if name not in before] == [], "they are there to be hidden"
    assert [name for name in HIDDEN if name in whole] == []
    assert [address for address in ADDRESSES if address not in before] == [], "they are there to be hidden"
    assert [address for address in ADDRESSES if address in whole] == []
    (log,) = [text for name, text in files.items() if name.endswith("/scheduler.log")]
    (route,) = re.findall(r"route (\S+) has (\S+)", log)
    assert ip_address(route[1]) in ip_network(route[0])
    assert ip_network(route[0]).prefixlen == 16
    assert "plugin version 1.34.2.1 dials" in log
    assert re.findall(rf"(?<![A-Za-z0-9]){re.escape(node)}(?![A-Za-z0-9])", whole) == []
    assert [secret for secret in SECRETS if secret in whole] == []
    projects = json.loads(files["objects/projects.json"])
    words = {each["metadata"]["name"] for each in projects}
    assert {word.partition("-")[0] for word in words} == {"project"}
    queues = {each["metadata"]["name"] for each in json.loads(files["objects/queues.json"])}
    decided = {each["name"] for each in json.loads(files["scheduler/default.json"])["queues"]}
    assert words <= queues & decided
    (work,) = json.loads(files["objects/trainings.json"])
    pods = json.loads(files["objects/pods.json"])
    assert work["metadata"]["namespace"] in {each["metadata"]["namespace"] for each in pods}
    assert json.loads(files["manifest.json"])["anonymised"] is True


def test_what_the_scheduler_decides_on_is_saved_as_a_file_that_is_played(planted: Cli, tmp_path: Path) -> None:
    file = tmp_path / "now.yaml"
    planted.ok("snapshot", "save", "-f", str(file))
    played = planted.json("scenario", "run", str(file))
    assert played["plan"] == []
    assert "running" in str(played["state"]["yak-training"])
    assert "department-default/zebra-lab" in played["fair_share"]
    node = next(iter(planted.json("node", "list")))["name"]
    hidden = planted.ok("snapshot", "save", "--anonymise")
    assert [name for name in (*HIDDEN, node) if name in hidden] == []
    assert {gang.name.partition("-")[0] for gang in loads(hidden).gangs} == {"workload"}


def test_what_cannot_be_had_is_a_line_and_the_rest_is_there(tmp_path: Path) -> None:
    from tests.parts.apiserver import kubeconfig

    config = tmp_path / "config"
    document = json.loads(kubeconfig("http://127.0.0.1:1", tmp_path / "none", {}))
    del document["clusters"][0]["cluster"]["certificate-authority"]
    config.write_text(json.dumps(document))
    files = a_bundle(Cli(tmp_path / "nothing"), tmp_path, "--kubeconfig", str(config), "--since", "1h")
    left_out = json.loads(files["manifest.json"])["left_out"]
    assert any(line.startswith("versions: ") for line in left_out)
    assert any(line.startswith("objects/pods: ") for line in left_out)
    assert any(line.startswith("scheduler: ") for line in left_out)
    assert json.loads(files["preflight/facts.json"])["access"]["api_version_endpoint"] == "refused"
