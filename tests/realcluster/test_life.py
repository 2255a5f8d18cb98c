"""What happens to a cluster while it lives, and what becomes of work: nodes go, the API server ends, others need the place."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from tests.kubernetes.processes import until
from tests.parts.cluster.cluster import Cluster
from tests.parts.cluster.controlplane import ControlPlane
from tests.parts.cluster.images import BUSYBOX
from tests.parts.cluster.nodes import GPUS
from tests.realcluster.product import Installed
from tests.realcluster.test_foreign_kinds import template

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1200)]

NAMESPACE = "runai-team"
_COMPACT = """
import json, sys, urllib.request
def ask(path, body):
    request = urllib.request.Request("http://127.0.0.1:2379/v3" + path, json.dumps(body).encode())
    return json.loads(urllib.request.urlopen(request).read())
now = ask("/kv/range", {"key": "AA=="})["header"]["revision"]
ask("/kv/compaction", {"revision": now, "physical": True})
"""
"""Has etcd forget every revision but the last."""


@pytest.fixture(autouse=True)
def emptied(installed: Installed) -> Iterator[None]:
    """Afterwards nothing of the test holds a GPU, and both nodes take work."""
    yield
    for node in installed.cluster.nodes.values():
        if not node.kubelet.is_running:
            node.kubelet.start()
        until(lambda name=node.name: is_ready(installed, name), 300)
        installed.kubectl("uncordon", node.name)
    names = [w["name"] for w in installed.product.json("list", "-p", "team")]
    if names:
        installed.product.run("delete", *names, "-p", "team")
    installed.kubectl("-n", NAMESPACE, "delete", "deployments,jobs,poddisruptionbudgets", "--all")
    until(lambda: not installed.objects("pods", NAMESPACE), 300)


def is_ready(installed: Installed, node: str) -> bool:
    """Whether the node is there, is Ready and has its GPUs."""
    for found in installed.objects("nodes", "default"):
        ready = {c["type"]: c["status"] for c in found["status"].get("conditions", ())}.get("Ready")
        if found["metadata"]["name"] == node:
            return ready == "True" and found["status"]["allocatable"].get("nvidia.com/gpu") == str(GPUS)
    return False


def runs(installed: Installed, name: str, seconds: float = 180) -> str:
    """The node on which the workload of one pod runs, once it does."""
    try:
        until(lambda: installed.product.phase(name) == "Running", seconds)
    except AssertionError as late:
        raise AssertionError(installed.product.run("describe", name, "-p", "team").stdout) from late
    (node,) = installed.product.json("describe", name, "-p", "team")["nodes"]
    return str(node)


def waits(installed: Installed, name: str) -> str:
    """Why the workload waits, once it does."""

    def said() -> str:
        shown = installed.product.json("describe", name, "-p", "team")
        return "; ".join(r["message"] for r in shown["reasons"]) if shown["phase"] == "Pending" else ""

    return str(until(said))


def waits_for(installed: Installed, name: str, word: str) -> None:
    """Returns once what the workload waits for has that word: while its pods are being made it waits for them."""
    until(lambda: word in waits(installed, name).lower())


def message(installed: Installed, name: str) -> str:
    """The sentence beside the workload's phase."""
    return str(installed.product.json("describe", name, "-p", "team")["phase_message"])


def evictions(installed: Installed, name: str) -> list[str]:
    """What the workload's history says of its evictions."""
    shown = installed.product.json("describe", name, "-p", "team")
    return [entry["message"] for entry in shown["history"] if entry["type"] == "evicted"]


def held(installed: Installed) -> Counter[str]:
    """GPUs that living pods have, by node."""
    found: Counter[str] = Counter()
    for pod in installed.objects("pods", NAMESPACE):
        limits = pod["spec"]["containers"][0]["resources"].get("limits", {})
        if pod["status"]["phase"] in ("Pending", "Running") and pod["spec"].get("nodeName"):
            found[pod["spec"]["nodeName"]] += int(limits.get("nvidia.com/gpu", 0))
    return found


def make(installed: Installed, body: dict[str, Any]) -> None:
    """An object in the project's namespace."""
    done = installed.kubectl("-n", NAMESPACE, "create", "-f", "-", given=json.dumps(body))
    assert done.returncode == 0, done.stderr


def a_server(installed: Installed, gpus: int) -> None:
    """A Deployment `web` of one pod, which has a higher priority than trainings."""
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}}
    pods = template("sleep 600 & wait", gpus, "Always", app="web")
    make(
        installed,
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {**spec, "template": pods},
        },
    )


def test_who_is_evicted_is_told_by_whom_and_what_is_lost_and_starts_anew(installed: Installed) -> None:
    installed.submit("whole", "-g", "8", "--workers", "2")
    until(lambda: installed.product.phase("whole") == "Running")
    time.sleep(2)
    a_server(installed, 4)
    until(lambda: evictions(installed, "whole"))
    (said,) = set(evictions(installed, "whole"))
    assert said.startswith("Stopped for web-"), said
    assert " of team, which has a higher priority in the same project (preempt); " in said
    assert said.endswith(" GPU-seconds of work are lost")
    assert int(said.rpartition("; ")[2].split()[0]) >= 2 * 16
    waits_for(installed, "whole", "gpu")
    shown = installed.product.json("describe", "whole", "-p", "team")
    assert (shown["evictions"], shown["phase"]) == (1, "Pending")
    installed.kubectl("-n", NAMESPACE, "delete", "deployment", "web")
    until(lambda: installed.product.phase("whole") == "Running")
    assert installed.product.json("describe", "whole", "-p", "team")["evictions"] == 1


def test_who_is_evicted_has_its_grace_time_and_the_place_is_given_on_only_then(installed: Installed) -> None:
    pods = template("trap 'sleep 6; exit 3' TERM; sleep 600 & wait", 8)
    pods["spec"]["terminationGracePeriodSeconds"] = 20
    for name in ("slow-1", "slow-2"):
        make(
            installed,
            {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": pods}},
        )
    until(lambda: sum(p["status"]["phase"] == "Running" for p in installed.objects("pods", NAMESPACE)) == 2)
    a_server(installed, 8)
    (leaving,) = until(
        lambda: [p for p in installed.objects("pods", NAMESPACE) if "deletionTimestamp" in p["metadata"]]
    )
    (target,) = (c for c in leaving["status"]["conditions"] if c["type"] == "DisruptionTarget")
    assert (target["reason"], leaving["metadata"]["deletionGracePeriodSeconds"]) == ("PreemptionByScheduler", 20)
    assert target["message"].startswith("Stopped for web-")
    began = datetime.fromisoformat(target["lastTransitionTime"])
    (taker,) = until(
        lambda: [
            p
            for p in installed.objects("pods", NAMESPACE)
            if p["metadata"]["name"].startswith("web-") and p["status"]["phase"] == "Running"
        ]
    )
    (bound,) = (c for c in taker["status"]["conditions"] if c["type"] == "PodScheduled")
    assert (datetime.fromisoformat(bound["lastTransitionTime"]) - began).total_seconds() >= 5


def test_a_cordoned_node_keeps_its_work_and_gets_no_more(installed: Installed) -> None:
    assert installed.product.run("node", "cordon", "node-1").returncode == 0
    installed.submit("one", "-g", "8")
    assert runs(installed, "one") == "node-2"
    installed.submit("two", "-g", "8")
    until(lambda: any(word in waits(installed, "two").lower() for word in ("cordon", "out of use")))
    assert installed.product.run("node", "uncordon", "node-1").returncode == 0
    assert runs(installed, "two") == "node-1"
    assert installed.product.run("node", "cordon", "node-1").returncode == 0
    time.sleep(3)
    assert installed.product.phase("two") == "Running"


def test_the_work_of_a_drained_node_goes_on_elsewhere(installed: Installed) -> None:
    installed.submit("moves", "-g", "2")
    node = runs(installed, "moves")
    drain = ("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=100s")
    done = installed.kubectl(*drain)
    assert done.returncode == 0, done.stderr
    until(lambda: installed.product.json("describe", "moves", "-p", "team")["evictions"] == 1)
    assert runs(installed, "moves", 120) != node
    (said,) = evictions(installed, "moves")
    assert said.startswith(f"Evicted from {node} through the eviction API")
    assert "GPU-second" in said


def test_a_move_honours_a_disruption_budget(installed: Installed) -> None:
    """Two trainings of 3 GPUs on a node each; 8 on one node are free only once either is moved."""
    for name, other in (("first", "node-1"), ("second", "node-2")):
        installed.kubectl("cordon", other)
        installed.submit(name, "-g", "3")
        runs(installed, name)
        installed.kubectl("uncordon", other)
    spec = {
        "minAvailable": 2,
        "selector": {"matchExpressions": [{"key": "fairlead.dev/workload", "operator": "Exists"}]},
    }
    budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "stay"}}
    make(installed, {**budget, "spec": spec})
    until(
        lambda: [b for b in installed.objects("poddisruptionbudgets", NAMESPACE) if b["status"]["currentHealthy"] == 2]
    )
    installed.submit("large", "-g", "8")
    waits(installed, "large")
    time.sleep(8)
    assert installed.product.phase("large") == "Pending"
    assert not evictions(installed, "first") + evictions(installed, "second")
    installed.kubectl("-n", NAMESPACE, "delete", "poddisruptionbudget", "stay")
    runs(installed, "large", 300)
    (said,) = evictions(installed, "first") + evictions(installed, "second")
    assert "to make room for large of team (consolidate); " in said
    assert {runs(installed, "first"), runs(installed, "second")} != {runs(installed, "large")}


def relists(installed: Installed) -> list[str]:
    """Lines in which a role says that its watch was answered with 410, after which it lists again."""
    chosen = ("-l", "app.kubernetes.io/part-of=fairlead", "--tail=-1", "--prefix")
    return [
        line
        for line in installed.kubectl("-n", "fairlead", "logs", *chosen).stdout.splitlines()
        if "cache.relist" in line
    ]


def forgets(plane: ControlPlane) -> None:
    """The API server starts again, on an etcd that has forgotten all before."""
    plane.api_server.kill()
    plane.machine.run(sys.executable, "-c", _COMPACT)
    plane.api_server.start()
    plane.wait_ready()


def test_work_goes_on_when_the_api_server_was_restarted_and_its_history_compacted(
    installed: Installed, real_cluster: Cluster
) -> None:
    installed.submit("before", "-g", "8")
    runs(installed, "before")
    forgets(real_cluster.control_plane)
    installed.submit("after", "-g", "8")
    assert runs(installed, "after", 300) != runs(installed, "before")
    installed.submit("third", "-g", "1")
    waits_for(installed, "third", "gpu")
    assert max(held(installed).values()) <= GPUS
    for _ in range(2):
        with contextlib.suppress(AssertionError):
            until(lambda: relists(installed), 30)
            break
        forgets(real_cluster.control_plane)  # whoever had lost its lease meanwhile began anew, and asked for no changes
    assert until(lambda: relists(installed)), "a watch from a revision that is forgotten is answered with 410"


def test_a_lost_node_gets_no_work_and_what_it_had_starts_elsewhere_once_it_is_gone(
    installed: Installed, real_cluster: Cluster
) -> None:
    installed.kubectl("cordon", "node-2")
    installed.submit("stays", "-g", "4")
    make(installed, leaves_soon("yields", 4))
    node = real_cluster.nodes[runs(installed, "stays")]
    assert runs(installed, "yields") == node.name
    installed.kubectl("uncordon", "node-2")
    node.kubelet.kill()
    until(lambda: not is_ready(installed, node.name), 300)
    (said,) = until(lambda: evictions(installed, "yields"), 300)
    assert said.startswith(f"Stopped: {node.name} was lost, or given a taint that it does not tolerate; ")
    assert not evictions(installed, "stays"), "it waits five minutes for its node"
    until(lambda: f"kubectl delete node {node.name}" in message(installed, "yields"))
    installed.submit("late", "-g", "8")
    assert runs(installed, "late") != node.name
    installed.submit("more", "-g", "1")
    waits_for(installed, "more", "not ready")
    assert installed.product.run("delete", "late", "more", "-p", "team").returncode == 0
    installed.kubectl("delete", "node", node.name)
    until(lambda: evictions(installed, "stays"), 300)
    for name in ("stays", "yields"):
        until(lambda name=name: runs(installed, name) != node.name)
    (said,) = evictions(installed, "stays")
    whoever_saw_it = f"Lost with {node.name}, which is no longer a node of the cluster; "
    nobody_saw_it = f"Gone from {node.name}: removed with its node, or by hand; "  # all that could were on that node
    assert said.startswith((whoever_saw_it, nobody_saw_it)), said
    assert said.endswith(" of work are lost")
    node.kubelet.start()
    until(lambda: is_ready(installed, node.name), 300)
    installed.submit("again", "-g", "8")
    assert runs(installed, "again", 300) == node.name


def leaves_soon(name: str, gpus: int) -> dict[str, Any]:
    """A training that stays two seconds on a node that is not heard of."""
    reasons = ("unreachable", "not-ready")
    tolerations = [
        {
            "key": f"node.kubernetes.io/{reason}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": 2,
        }
        for reason in reasons
    ]
    spec = {"image": BUSYBOX, "command": ["sleep", "600"], "cpuMilli": 100, "gpuDevices": gpus}
    kind = {"apiVersion": "fairlead.dev/v1alpha1", "kind": "Training", "metadata": {"name": name}}
    return {**kind, "spec": {**spec, "tolerations": tolerations}}


def test_a_node_that_lies_about_its_gpus_is_named_by_the_work_it_refuses(installed: Installed) -> None:
    """Its kubelet tells the truth again within 10 s: until then a pod is bound there that the kubelet does not take."""
    installed.submit("nine", "-g", "9")
    waits(installed, "nine")
    lie = json.dumps({"status": {"capacity": {"nvidia.com/gpu": "9"}, "allocatable": {"nvidia.com/gpu": "9"}}})
    installed.kubectl("patch", "node", "node-1", "--subresource=status", "--type=merge", "-p", lie)

    def failed() -> list[str]:
        shown = installed.product.json("describe", "nine", "-p", "team")
        return [entry["message"] for entry in shown["history"] if entry["type"] == "failed"]

    (said, *_) = until(failed)
    assert "failed: node-1 did not take it, though by its status there was room: " in said
    assert "Requested: 9, Available: 8" in said
    until(lambda: is_ready(installed, "node-1"))
    waits_for(installed, "nine", "gpu")
