"""The real Prometheus Operator on a real API server: whether it takes our ServiceMonitor and rules, and what preflight says of it."""

from __future__ import annotations

import base64
import gzip
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from tests.howto import Reader, blocks
from tests.kubernetes.processes import until
from tests.kubernetes.test_chart import CHART, Helm
from tests.kubernetes.test_preflight import look
from tests.metrics.test_rules import rules
from tests.parts.apiserver import api_server
from tests.parts.build import Unavailable
from tests.parts.helm import helm
from tests.parts.prometheus_operator import prometheus_operator

pytestmark = [pytest.mark.kubernetes, pytest.mark.slow, pytest.mark.timeout(900)]

OPERATOR_IMAGE = "quay.io/prometheus-operator/prometheus-operator:v0.85.0"
JOB = "serviceMonitor/fairlead/fairlead/0"
OPERATOR = ("--set", "prometheus.mode=operator")
EXISTING, LABELLED = blocks("existing-prometheus")
SELECTED = (*OPERATOR, "--set", "prometheus.operator.labels.release=kps")


class Monitored:
    """The operator, one Prometheus that selects by the label release=kps, and the chart."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self.kubeconfig, self.folder = kubeconfig, folder
        self.helm = Helm(helm(3), folder, kubeconfig)

    def kubectl(self, *words: str, given: Any = None) -> str:
        """What a command that must succeed said."""
        command = ["kubectl", "--kubeconfig", str(self.kubeconfig), *words]
        done = subprocess.run(command, capture_output=True, text=True, input=json.dumps(given), timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def configuration(self) -> dict[str, Any]:
        """What the operator wrote for its Prometheus; empty before it did."""
        secrets = json.loads(self.kubectl("-n", "monitoring", "get", "secrets", "-o", "json"))["items"]
        written = next((s["data"] for s in secrets if s["metadata"]["name"] == "prometheus-main"), None)
        if written is None:
            return {}
        return dict(YAML(typ="safe").load(gzip.decompress(base64.b64decode(written["prometheus.yaml.gz"]))))

    def jobs(self) -> set[str]:
        """The jobs in it."""
        return {job["job_name"] for job in self.configuration().get("scrape_configs", ())}

    def rules(self) -> str:
        """The rules that it gave its Prometheus, as text."""
        found = json.loads(self.kubectl("-n", "monitoring", "get", "configmaps", "-o", "json"))["items"]
        return "".join(text for each in found for text in (each.get("data") or {}).values())

    def select(self, selector: Any, *, in_its_own: bool = False) -> None:
        """Has the Prometheus select monitors so, in all namespaces or in its own alone."""
        namespaces = None if in_its_own else {}
        patch = json.dumps(
            {"spec": {"serviceMonitorSelector": selector, "serviceMonitorNamespaceSelector": namespaces}}
        )
        self.kubectl("-n", "monitoring", "patch", "prometheus", "main", "--type=merge", "-p", patch)

    def preflight(self, namespace: str = "", **labels: str) -> dict[str, Any]:
        """What is said of Prometheus where the monitors are there and have these labels."""
        configured = {"mode": "operator", "labels": labels, "namespace": namespace}
        return look(self.kubeconfig, self.folder, "--only", "prometheus", prometheus=configured).check("prometheus")


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    """The chart is installed, and its monitors are labelled as the Prometheus wants them."""
    folder = tmp_path_factory.mktemp("operator")
    try:
        with api_server() as server:
            kubeconfig = server.write_kubeconfig(folder / "kubeconfig")
            with prometheus_operator(kubeconfig, folder / "operator.log"):
                found = Monitored(kubeconfig, folder)
                found.kubectl("create", "namespace", "monitoring")
                found.kubectl("create", "-f", "-", given=PROMETHEUS)
                _pod_of_the_operator(found)
                words = ("install", "fairlead", str(CHART), "-n", "fairlead", "--create-namespace", "--no-hooks")
                found.helm.ok(*words, *SELECTED)
                yield found
    except Unavailable as reason:
        pytest.skip(str(reason))


PROMETHEUS = {
    "apiVersion": "monitoring.coreos.com/v1",
    "kind": "Prometheus",
    "metadata": {"name": "main", "namespace": "monitoring"},
    "spec": {
        "version": "v2.42.0",
        "serviceMonitorSelector": {"matchLabels": {"release": "kps"}},
        "serviceMonitorNamespaceSelector": {},
        "podMonitorSelector": {},  # with no selector at all the operator would leave the configuration to a person
        "ruleSelector": {"matchLabels": {"release": "kps"}},
        "ruleNamespaceSelector": {},
    },
}


def _pod_of_the_operator(found: Monitored) -> None:
    """It runs outside: the pod by which people know that it runs."""
    container = {"name": "c", "image": OPERATOR_IMAGE}
    meta = {"name": "operator", "namespace": "monitoring"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [container]}}
    found.kubectl("create", "-f", "-", given=pod)
    status = json.dumps({"status": {"phase": "Running"}})
    found.kubectl("-n", "monitoring", "patch", "pod", "operator", "--subresource=status", "--type=merge", "-p", status)


def test_our_monitor_and_our_rules_are_taken_by_a_prometheus_that_selects_their_labels(monitored: Monitored) -> None:
    until(lambda: JOB in monitored.jobs())
    (job,) = (job for job in monitored.configuration()["scrape_configs"] if job["job_name"] == JOB)
    (found,) = job["kubernetes_sd_configs"]
    assert found["namespaces"]["names"] == ["fairlead", "fairlead-node"]
    until(lambda: "FairleadNoScheduler" in monitored.rules())
    text = monitored.rules()
    assert not [rule for rule in rules() if rule.get("alert", rule.get("record")) not in text]
    assert monitored.preflight(release="kps")["verdict"] == "pass"


def test_with_other_labels_nobody_takes_them_and_preflight_says_which_are_wanted(monitored: Monitored) -> None:
    until(lambda: JOB in monitored.jobs())
    upgrade = ("upgrade", "fairlead", str(CHART), "-n", "fairlead", "--no-hooks")
    monitored.helm.ok(*upgrade, *OPERATOR, "--set", "prometheus.operator.labels.release=mine")
    until(lambda: JOB not in monitored.jobs())
    said = monitored.preflight(release="mine")
    assert (said["verdict"], said["class"]) == ("fail", "selector")
    assert "release=kps" in said["seen"]
    monitored.helm.ok(*upgrade, *SELECTED)
    until(lambda: JOB in monitored.jobs())


def test_a_selector_with_conditions_is_read_as_the_operator_reads_it(monitored: Monitored) -> None:
    until(lambda: JOB in monitored.jobs())
    for operator, values, taken in (("In", ["kps", "other"], True), ("NotIn", ["kps"], False), ("Exists", [], True)):
        condition = {"key": "release", "operator": operator, **({"values": values} if values else {})}
        monitored.select({"matchExpressions": [condition]})
        until(lambda taken=taken: (JOB in monitored.jobs()) is taken)  # type: ignore[misc]
        said = monitored.preflight(release="kps")
        assert said["verdict"] == ("pass" if taken else "fail"), (operator, said)
    monitored.select({"matchLabels": {"release": "kps"}})
    until(lambda: JOB in monitored.jobs())


def test_a_prometheus_that_looks_into_its_own_namespace_alone_takes_them_there(monitored: Monitored) -> None:
    until(lambda: JOB in monitored.jobs())
    upgrade = ("upgrade", "fairlead", str(CHART), "-n", "fairlead", "--no-hooks", *SELECTED)
    monitored.select({"matchLabels": {"release": "kps"}}, in_its_own=True)
    until(lambda: JOB not in monitored.jobs())
    said = monitored.preflight(release="kps")
    assert (said["verdict"], "prometheus.namespace" in said["remedy"]) == ("fail", True), said
    monitored.helm.ok(*upgrade, "--set", "prometheus.operator.namespace=monitoring")
    until(lambda: "serviceMonitor/monitoring/fairlead/0" in monitored.jobs())
    assert monitored.preflight("monitoring", release="kps")["verdict"] == "pass"
    monitored.helm.ok(*upgrade)
    monitored.select({"matchLabels": {"release": "kps"}})
    until(lambda: JOB in monitored.jobs())


def test_the_guide_to_a_prometheus_one_has_is_followed_to_a_configuration_and_to_the_operator(
    monitored: Monitored, tmp_path: Path
) -> None:
    reader = Reader(tmp_path, monitored.kubeconfig)
    quietly = {"--reuse-values": "--reuse-values --no-hooks"}  # no node runs the hooks
    reader.types(EXISTING, quietly)
    (job,) = YAML(typ="safe").load((tmp_path / "scrape.yaml").read_text())
    assert job["kubernetes_sd_configs"] == [
        {"role": "pod", "namespaces": {"names": ["fairlead", "fairlead-node"]}},
    ]
    assert "FairleadNoScheduler" in (tmp_path / "rules.yaml").read_text()
    configured = {"prometheus": {"mode": "operator", "labels": {"release": "kps"}}}
    (tmp_path / "fairlead.yaml").write_text(json.dumps(configured))
    said = reader.types(
        LABELLED, {**quietly, "release=kube-prometheus-stack": "release=kps", "--only": "--no-probe --only"}
    )
    assert re.search(r"✓ pass +prometheus\b", said), said
    until(lambda: JOB in monitored.jobs())


def test_a_prometheus_without_a_selector_takes_none_and_preflight_says_so(monitored: Monitored) -> None:
    until(lambda: JOB in monitored.jobs())
    monitored.select(None)
    try:
        until(lambda: JOB not in monitored.jobs())
        said = monitored.preflight(release="kps")
        assert (said["verdict"], said["class"]) == ("fail", "selector")
        assert "none has a serviceMonitorSelector" in said["seen"]
    finally:
        monitored.select({"matchLabels": {"release": "kps"}})


def test_the_kinds_are_asked_for_where_a_cluster_has_none(tmp_path: Path) -> None:
    try:
        done = Helm(helm(3), tmp_path).run("template", "fairlead", str(CHART), "--kube-version", "1.34.0", *OPERATOR)
    except Unavailable as reason:
        pytest.skip(str(reason))
    assert done.returncode != 0
    assert "no kinds of the Prometheus Operator" in done.stderr
