"""Other people's kinds with the controllers that Kubernetes has for them: placed by us, run by kubelets, counted by their owners."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.kubernetes.processes import until
from tests.parts.cluster.images import BUSYBOX
from tests.realcluster.product import Installed

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1200)]

NAMESPACE = "runai-team"
OWNERS = "cronjobs,jobs,deployments,statefulsets"
LASTS = "sleep 600 & wait"


@pytest.fixture(autouse=True)
def emptied(installed: Installed) -> Iterator[None]:
    """Afterwards nothing of the test holds a GPU."""
    yield
    installed.kubectl("-n", NAMESPACE, "delete", OWNERS, "--all", "--cascade=background")
    installed.kubectl("-n", NAMESPACE, "delete", "pods", "--all", "--grace-period=1")
    until(lambda: not installed.objects("pods", NAMESPACE))


def template(script: str, gpus: int = 1, restart: str = "Never", **labels: str) -> dict[str, Any]:
    """What a controller makes pods from, for our scheduler."""
    container = {
        "name": "main",
        "image": BUSYBOX,
        "command": ["sh", "-c", script],
        "resources": {"limits": {"nvidia.com/gpu": gpus}},
    }
    spec = {"schedulerName": "fairlead", "restartPolicy": restart, "containers": [container]}
    return {"metadata": {"labels": labels}, "spec": {**spec, "terminationGracePeriodSeconds": 5}}


def make(installed: Installed, kind: str, name: str, spec: dict[str, Any]) -> None:
    """An object of that kind in the project."""
    group = "apps" if kind in ("Deployment", "StatefulSet") else "batch"
    body = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    done = installed.kubectl("-n", NAMESPACE, "create", "-f", "-", given=json.dumps(body))
    assert done.returncode == 0, done.stderr


def pods(installed: Installed, name: str, *phases: str) -> list[dict[str, Any]]:
    """Pods of that controller in one of the phases, by name."""
    found = [p for p in installed.objects("pods", NAMESPACE) if p["metadata"]["name"].startswith(name)]
    return [p for p in found if p["status"]["phase"] in phases and "deletionTimestamp" not in p["metadata"]]


def job(installed: Installed, name: str) -> dict[str, Any]:
    """The status of a Job."""
    (found,) = (j for j in installed.objects("jobs", NAMESPACE) if j["metadata"]["name"] == name)
    return dict(found["status"])


def ends(status: dict[str, Any]) -> set[str]:
    """How a Job has ended, by its conditions."""
    return {c["type"] for c in status.get("conditions", ()) if c["status"] == "True"} & {"Complete", "Failed"}


def counted(installed: Installed, gpus: int) -> bool:
    """Whether the project's queue says that so many GPUs are allocated."""
    (queue,) = (q for q in installed.objects("queues.scheduling.run.ai", "default") if q["metadata"]["name"] == "team")
    return str(queue.get("status", {}).get("allocated", {}).get("nvidia.com/gpu", "0")) == str(gpus)


def assert_placed_as(pod: dict[str, Any], priority: str) -> None:
    """It is in the queue of its namespace, with the class of its kind, a group of its own."""
    labels, notes = pod["metadata"]["labels"], pod["metadata"]["annotations"]
    assert (labels["kai.scheduler/queue"], labels["priorityClassName"]) == ("team", priority)
    assert notes["fairlead.dev/grouped"] == "alone"


def test_a_deployment_runs_as_inference(installed: Installed) -> None:
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}}
    make(installed, "Deployment", "web", {**spec, "template": template(LASTS, restart="Always", app="web")})
    for pod in until(lambda: len(found := pods(installed, "web", "Running")) == 2 and found):
        assert_placed_as(pod, "inference")
    assert until(lambda: counted(installed, 2))
    assert not installed.objects("podgroups.scheduling.run.ai", NAMESPACE)


def test_a_stateful_set_starts_in_its_order(installed: Installed) -> None:
    spec = {"replicas": 2, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}}}
    make(installed, "StatefulSet", "db", {**spec, "template": template(LASTS, restart="Always", app="db")})
    first, second = until(lambda: len(found := pods(installed, "db", "Running")) == 2 and found)
    assert (first["metadata"]["name"], second["metadata"]["name"]) == ("db-0", "db-1")
    assert first["status"]["startTime"] <= second["status"]["startTime"]
    assert_placed_as(first, "train")


def test_an_indexed_job_completes(installed: Installed) -> None:
    spec = {"completions": 3, "parallelism": 2, "completionMode": "Indexed"}
    make(installed, "Job", "sums", {**spec, "template": template("echo $JOB_COMPLETION_INDEX")})
    until(lambda: ends(job(installed, "sums")) == {"Complete"})
    done = pods(installed, "sums", "Succeeded")
    assert {p["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] for p in done} == {"0", "1", "2"}
    for pod in done:
        assert_placed_as(pod, "train")


def test_a_cron_job_is_found_behind_its_job(installed: Installed) -> None:
    job_template = {"spec": {"template": template("true")}, "metadata": {"labels": {"priorityClassName": "train"}}}
    make(installed, "CronJob", "every", {"schedule": "* * * * *", "jobTemplate": job_template})
    (pod, *_) = until(lambda: pods(installed, "every", "Succeeded"), 100)
    assert_placed_as(pod, "train")


@pytest.mark.parametrize(
    ("restart", "code", "mode"), [("Never", 1, "Indexed"), ("Never", 0, "NonIndexed"), ("OnFailure", 1, "NonIndexed")]
)
def test_a_preempted_job_counts_neither_as_failed_nor_as_done(
    installed: Installed, restart: str, code: int, mode: str
) -> None:
    """Nothing is written in the Job but that it forgives no failure; `code`: what its pods answer the signal with."""
    spec = {"backoffLimit": 0, "completions": 2, "parallelism": 2, "completionMode": mode}
    script = f"trap 'exit {code}' TERM; {LASTS}"
    make(installed, "Job", "long", {**spec, "template": template(script, 8, restart)})
    before = until(lambda: len(found := pods(installed, "long", "Running")) == 2 and found)
    selector = {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}}
    make(installed, "Deployment", "web", {**selector, "template": template(LASTS, 4, "Always", app="web")})
    until(lambda: pods(installed, "web", "Running"))
    until(lambda: len(pods(installed, "long", "Running")) == len(pods(installed, "long", "Pending")) == 1)
    status = job(installed, "long")
    assert (status.get("failed", 0), status.get("succeeded", 0), ends(status)) == (0, 0, set())
    installed.kubectl("-n", NAMESPACE, "delete", "deployment", "web")
    after = until(lambda: len(found := pods(installed, "long", "Running")) == 2 and found)
    assert len({p["metadata"]["uid"] for p in before} & {p["metadata"]["uid"] for p in after}) == 1
    status = job(installed, "long")
    assert (status["active"], status.get("failed", 0), status.get("succeeded", 0)) == (2, 0, 0)


@pytest.mark.parametrize(("restart", "code", "end"), [("OnFailure", 1, "Failed"), ("Never", 0, "Complete")])
def test_a_job_of_which_somebody_merely_deletes_a_pod_takes_it_for_failed_or_done(
    installed: Installed, restart: str, code: int, end: str
) -> None:
    """What the test above is held against: it is the scheduler's way of evicting that keeps a Job from this."""
    script = f"trap 'exit {code}' TERM; {LASTS}"
    make(installed, "Job", "long", {"backoffLimit": 0, "template": template(script, 1, restart)})
    (pod,) = until(lambda: pods(installed, "long", "Running"))
    installed.kubectl("-n", NAMESPACE, "delete", "pod", pod["metadata"]["name"])
    until(lambda: ends(job(installed, "long")) == {end})


def test_a_job_of_which_a_pod_has_yet_to_run_is_not_complete(installed: Installed) -> None:
    """Situation `status-completed-while-a-pod-waits` (Volcano #5871), with the real controller."""
    make(installed, "Job", "fills", {"template": template(LASTS, 8)})
    make(installed, "Job", "fills-too", {"template": template(LASTS, 7)})
    until(lambda: len(pods(installed, "fills", "Running")) == 2)
    make(installed, "Job", "two", {"parallelism": 1, "completions": 2, "template": template("sleep 4")})
    until(lambda: pods(installed, "two", "Running"))
    make(installed, "Job", "next", {"template": template(LASTS)})
    until(lambda: pods(installed, "next", "Running"))
    until(lambda: pods(installed, "two", "Pending"))
    status = job(installed, "two")
    assert (status["active"], status["succeeded"], ends(status)) == (1, 1, set())
    assert counted(installed, 16)
    installed.kubectl("-n", NAMESPACE, "delete", "job", "next")
    until(lambda: ends(job(installed, "two")) == {"Complete"})
