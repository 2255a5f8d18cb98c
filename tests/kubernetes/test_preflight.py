"""`fairlead preflight` on real API servers of two versions: what their objects tell, what may not be read, and what is no cluster."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address, ip_network
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.kubernetes.conftest import ON_EACH
from tests.parts.apiserver import SERVICE_RANGE, ApiServer, free_ports, kubeconfig
from tests.preflight.gather.test_releases import packed

from fairlead.kube.client import Client, Limits
from fairlead.kube.credentials import find
from fairlead.kube.http import HttpTransport
from fairlead.preflight.check import Verdict, judged
from fairlead.preflight.checks import BY_CODE
from fairlead.preflight.config import Config, config_of
from fairlead.preflight.facts import Facts, facts_of
from fairlead.preflight.gather import ingress, pods, trials
from fairlead.preflight.gather.api import Api
from fairlead.preflight.gather.objects import objects_facts
from fairlead.preflight.gather.pods import Place
from fairlead.preflight.gather.role import probing
from fairlead.runtime.clock import SystemClock

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(900)]

LOCAL = {"registry": {"host": "localhost", "local_images": True}, "egress": {"third_party": []}}


class Looked:
    """A report, and how the command ended."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.exit = done.returncode
        assert done.returncode in (0, 1, 5), done.stderr
        self.report: dict[str, Any] = json.loads(done.stdout)

    def check(self, code: str) -> dict[str, Any]:
        """What is said of a check."""
        return dict(next(each for each in self.report["checks"] if each["code"] == code))

    def verdict(self, code: str) -> str:
        """The verdict of a check."""
        return str(self.check(code)["verdict"])


def look(config: Path, folder: Path, *words: str, **sections: Any) -> Looked:
    """What preflight says without starting pods. `sections`: more of its configuration."""
    file = folder / "fairlead.yaml"
    file.write_text(json.dumps({**LOCAL, **sections}))
    command = ["preflight", "--kubeconfig", str(config), "--config", str(file), "--no-probe", "-o", "json", *words]
    env = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    return Looked(
        subprocess.run(
            [sys.executable, "-m", "fairlead.cli.main", *command], capture_output=True, text=True, timeout=120, env=env
        )
    )


def make(server: ApiServer, folder: Path, *objects: dict[str, Any]) -> None:
    """Create or change them."""
    config = server.write_kubeconfig(folder / "admin")
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    command = ["kubectl", f"--kubeconfig={config}", "apply", "--validate=false", "-f", "-"]
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr


@ON_EACH
def test_a_cluster_s_version_and_kinds_hold_and_no_node_is_said(server: ApiServer, tmp_path: Path) -> None:
    seen = look(server.write_kubeconfig(tmp_path / "config"), tmp_path)
    holds = ("cluster-connectivity", "kubernetes-version", "kubernetes-apis", "openshift-version")
    assert {code: seen.verdict(code) for code in holds} == dict.fromkeys(holds, "pass")
    assert seen.verdict("node-connectivity") == "unknown"
    assert (seen.report["verdict"], seen.exit) in (("fail", 1), ("unknown", 5))


@ON_EACH
def test_openshift_is_known_by_its_own_object_and_never_by_the_name_of_a_group(
    server: ApiServer, tmp_path: Path
) -> None:
    config = server.write_kubeconfig(tmp_path / "config")
    make(server, tmp_path, definition("routes", "route.openshift.io"))
    assert "not OpenShift" in look(config, tmp_path, "--only", "openshift-version").check("openshift-version")["seen"]
    make(server, tmp_path, definition("clusterversions", "config.openshift.io"))
    try:
        for version, verdict in (("4.2.36", "fail"), ("4.3.0", "pass")):
            _eventually(lambda version=version: _try_version(server, tmp_path, version))  # type: ignore[misc]
            found = look(config, tmp_path, "--only", "openshift-version")
            assert found.verdict("openshift-version") == verdict, version
            assert version in found.check("openshift-version")["seen"]
    finally:
        for plural in ("clusterversions.config.openshift.io", "routes.route.openshift.io"):
            subprocess.run(["kubectl", f"--kubeconfig={config}", "delete", "crd", plural], check=True, timeout=240)


_OF_OTHERS = {
    "clusterpolicies": "ClusterPolicy",
    "routes": "Route",
    "clusterversions": "ClusterVersion",
    "securitycontextconstraints": "SecurityContextConstraints",
}


def definition(plural: str, group: str) -> dict[str, Any]:
    """A kind of OpenShift, or of the GPU operator, for a cluster that has none."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    kind = _OF_OTHERS[plural]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}", "annotations": {"api-approved.kubernetes.io": "unapproved, a test"}},
        "spec": {
            "group": group,
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
            "scope": "Cluster",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


def _try_version(server: ApiServer, folder: Path, version: str) -> bool:
    status = {"desired": {"version": version}, "history": [{"state": "Completed", "version": version}]}
    body = {"apiVersion": "config.openshift.io/v1", "kind": "ClusterVersion", "metadata": {"name": "version"}}
    try:
        make(server, folder, {**body, "status": status})
    except AssertionError:
        return False
    return True


def _eventually(look_: Any) -> None:
    from tests.kubernetes.processes import until

    until(look_, 30)


@ON_EACH
def test_the_range_of_services_is_known_whether_or_not_an_object_tells_it(server: ApiServer, tmp_path: Path) -> None:
    facts = tmp_path / "facts.json"
    look(server.write_kubeconfig(tmp_path / "config"), tmp_path, "--only", "proxy", "--save-facts", str(facts))
    found = json.loads(facts.read_text())["cluster"]
    assert found["service_cidr"] == SERVICE_RANGE
    assert ip_address(found["kubernetes_service_ip"]) in ip_network(SERVICE_RANGE)


@ON_EACH
def test_what_may_not_be_read_is_unknown_with_the_right_that_lacks(server: ApiServer, tmp_path: Path) -> None:
    config = tmp_path / "nobody"
    config.write_text(kubeconfig(server.url, server.folder / "ca.crt", {"token": server.user_token}))
    seen = look(config, tmp_path)
    assert seen.verdict("cluster-connectivity") == "fail"
    assert seen.report["class"] == "forbidden"
    assert seen.verdict("storage-class") == "unknown"
    assert seen.exit == 5


@ON_EACH
def test_the_role_that_it_prints_is_all_that_it_needs_to_read(server: ApiServer, tmp_path: Path) -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "fairlead.cli.main", "preflight", "role", "--user", "user"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    admin = server.write_kubeconfig(tmp_path / "admin")
    kubectl = ["kubectl", f"--kubeconfig={admin}"]
    subprocess.run([*kubectl, "apply", "-f", "-"], input=printed, text=True, check=True, timeout=240)
    try:
        config = tmp_path / "user"
        config.write_text(kubeconfig(server.url, server.folder / "ca.crt", {"token": server.user_token}))
        look(config, tmp_path, "--save-facts", str(tmp_path / "facts.json"))
        facts = json.loads((tmp_path / "facts.json").read_text())
        assert facts["access"]["forbidden"] == ["list secrets"], "Secrets are asked for and not needed"
        assert "clusterroles" not in [r["resource"] for r in facts["access_reviews"] if r["allowed"]]
    finally:
        subprocess.run([*kubectl, "delete", "-f", "-"], input=printed, text=True, check=True, timeout=240)


@ON_EACH
def test_a_stored_release_with_kinds_that_are_gone_is_told_before_helm_stumbles(
    server: ApiServer, tmp_path: Path
) -> None:
    config = server.write_kubeconfig(tmp_path / "config")
    names = {"fairlead": "policy/v1beta1 PodSecurityPolicy", "broken": ""}
    labels = {"owner": "helm", "version": "1", "status": "deployed"}
    for name, what in names.items():
        version, _, kind = what.partition(" ")
        manifest = f"apiVersion: v1\nkind: Service\n---\napiVersion: {version}\nkind: {kind}\n"
        meta = {"name": f"sh.helm.release.v1.{name}.v1", "namespace": "default", "labels": {**labels, "name": name}}
        data = {"release": packed(manifest) if what else "AAAA"}
        make(server, tmp_path, {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": data})
    facts = tmp_path / "facts.json"
    look(config, tmp_path, "--only", "leftovers", "--save-facts", str(facts), namespace="default")
    found = json.loads(facts.read_text())
    broken, ours = found["helm_releases"]
    make_none(server, tmp_path, *(f"secret/sh.helm.release.v1.{name}.v1" for name in names))
    assert "no release of Helm that can be read" in broken["removed_apis"]["unknown"]
    gone = [] if names["fairlead"].split()[0] in found["api_versions"] else [names["fairlead"]]
    assert bool(gone) == ("v1.34" in found["server"]["git_version"])
    assert (ours["status"], ours["removed_apis"]) == ("deployed", gone)


def make_none(server: ApiServer, folder: Path, *objects: str) -> None:
    """Delete them."""
    config = server.write_kubeconfig(folder / "admin")
    subprocess.run(["kubectl", f"--kubeconfig={config}", "delete", *objects], check=True, timeout=240)


RUNS = itertools.count(0x5A5A0000)
GUARD = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingWebhookConfiguration",
    "metadata": {"name": "guard"},
    "webhooks": [
        {
            "name": "guard.policies.example",
            "clientConfig": {"service": {"namespace": "default", "name": "guard"}},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
            "sideEffects": "None",
            "failurePolicy": "Fail",
            "admissionReviewVersions": ["v1"],
        }
    ],
}


def test_samples_prove_rights_whatever_is_there_and_a_webhook_that_is_dead_is_told_once(
    server: ApiServer, tmp_path: Path
) -> None:
    taken = {**probing(), "metadata": {"name": "fairlead-preflight"}}
    config = server.write_kubeconfig(tmp_path / "config")
    make(server, tmp_path, taken)
    try:
        whole = asyncio.run(_dry_runs(config))
        assert judged(BY_CODE["permissions"], whole, Config()).verdict is Verdict.PASS, whole.document
        make(server, tmp_path, GUARD)
        _eventually(lambda: _silent(config) == ["guard.policies.example"])
        facts = asyncio.run(_dry_runs(config))
        admission = judged(BY_CODE["admission"], facts, Config())
        assert (admission.verdict, admission.cause) == (Verdict.FAIL, "webhook-dead")
        assert "ValidatingWebhookConfiguration guard" in admission.seen
        assert "kubectl delete validatingwebhookconfiguration guard" in admission.remedy
        for code in ("permissions", "pod-security"):
            beside = judged(BY_CODE[code], facts, Config())
            assert (beside.verdict, "see admission" in beside.seen) == (Verdict.UNKNOWN, True), beside
    finally:
        gone = ["validatingwebhookconfiguration/guard", "clusterrole/fairlead-preflight"]
        command = ["kubectl", f"--kubeconfig={config}", "delete", "--ignore-not-found", *gone]
        subprocess.run(command, check=True, timeout=240)


@ON_EACH
def test_an_ingress_of_a_run_is_made_and_taken_up_by_nobody_where_there_is_no_controller(
    server: ApiServer, tmp_path: Path
) -> None:
    async def told(config: Path) -> bool:
        clock = SystemClock()
        run = f"{next(RUNS):08x}"
        place = Place(run=run, namespace=f"fairlead-preflight-{run}", image="i", expires=clock.now() + 60, seconds=60)
        async with HttpTransport(find({}, str(config)), clock) as transport:
            api = Api(Client(transport, clock, Random(1), Limits(call=20, watch=20)))
            await api.call("POST", "/api/v1/namespaces", pods.namespace(place))
            await ingress.led_here(api, place, config_of({"ingress": {"host": "apps.example", "class": "nginx"}}))
            return await ingress.is_taken_up(api, place)

    assert not asyncio.run(told(server.write_kubeconfig(tmp_path / "config")))


def test_agents_are_tried_in_the_namespace_that_administrators_made(server: ApiServer, tmp_path: Path) -> None:
    """It is not there; it keeps the level `baseline`; it is labelled as it has to be."""
    theirs = config_of({"create_namespaces": False})
    config = server.write_kubeconfig(tmp_path / "config")

    def labelled(level: str) -> Facts:
        labels = {"pod-security.kubernetes.io/enforce": level}
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fairlead-node", "labels": labels}}
        make(server, tmp_path, body)
        return asyncio.run(_dry_runs(config, theirs))

    absent = judged(BY_CODE["permissions"], asyncio.run(_dry_runs(config, theirs)), theirs)
    made = "kubectl create namespace fairlead-node\nkubectl create namespace fairlead-reservation"
    assert (absent.verdict, absent.cause, absent.remedy) == (Verdict.FAIL, "no-namespace", made), absent
    try:
        refused = judged(BY_CODE["pod-security"], labelled("baseline"), theirs)
        assert (refused.verdict, refused.cause) == (Verdict.FAIL, "psa"), refused
        assert "kubectl label --overwrite namespace fairlead-node pod-security" in refused.remedy
        let_in = judged(BY_CODE["pod-security"], labelled("privileged"), theirs)
        assert let_in.verdict is Verdict.PASS, let_in
    finally:
        make_none(server, tmp_path, "--wait=false", "namespace/fairlead-node")


async def _dry_runs(config: Path, wanted: Config | None = None) -> Facts:
    """What the objects and the dry runs of an administrator's run tell."""
    clock = SystemClock()
    run = f"{next(RUNS):08x}"
    place = Place(run=run, namespace=f"fairlead-preflight-{run}", image="i", expires=clock.now() + 60, seconds=60)
    async with HttpTransport(find({}, str(config)), clock) as transport:
        api = Api(Client(transport, clock, Random(1), Limits(call=20, watch=20)))
        await api.call("POST", "/api/v1/namespaces", pods.namespace(place))
        found = await objects_facts(api, "fairlead", clock.now())
        found["dry_run"] = await trials.dry_runs(api, place, wanted or Config())
        return facts_of({**found, "webhook_failures": api.webhook_failures()})


def _silent(config: Path) -> list[str]:
    return [each.text("name") for each in asyncio.run(_dry_runs(config)).items("webhook_failures")]


def test_an_answer_of_nobody_is_told_by_its_class(server: ApiServer, tmp_path: Path) -> None:
    (nobody,) = free_ports(1)
    ca = server.folder / "ca.crt"
    for name, url, word in (
        ("refused", f"https://127.0.0.1:{nobody}", "refused"),
        ("dns", "https://no-such-host.invalid:6443", "dns"),
    ):
        config = tmp_path / name
        config.write_text(kubeconfig(url, ca, {"token": server.token}))
        seen = look(config, tmp_path, "--only", "cluster-connectivity")
        assert (seen.exit, seen.check("cluster-connectivity")["class"]) == (5, word)
    wrong = tmp_path / "wrong-ca"
    (tmp_path / "other.crt").write_bytes(_an_authority())
    wrong.write_text(kubeconfig(server.url, tmp_path / "other.crt", {"token": server.token}))
    seen = look(wrong, tmp_path, "--only", "cluster-connectivity")
    assert (seen.exit, seen.check("cluster-connectivity")["class"]) == (5, "tls")
    stale = tmp_path / "stale"
    stale.write_text(kubeconfig(server.url, ca, {"token": "not-a-token"}))
    seen = look(stale, tmp_path, "--only", "cluster-connectivity")
    assert (seen.exit, seen.check("cluster-connectivity")["class"]) == (5, "unauthorized")
    missing = look(tmp_path / "no-such-file", tmp_path, "--only", "cluster-connectivity")
    assert (missing.exit, missing.check("cluster-connectivity")["class"]) == (5, "no-kubeconfig")


def test_an_api_that_never_answers_ends_with_its_time(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = tmp_path / "config"
        config.write_text(kubeconfig(f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path / "none", {}))
        document = json.loads(config.read_text())
        del document["clusters"][0]["cluster"]["certificate-authority"]
        config.write_text(json.dumps(document))
        seen = look(config, tmp_path, "--only", "cluster-connectivity", "--timeout", "20s")
    assert (seen.exit, seen.check("cluster-connectivity")["class"]) == (5, "timeout")


@pytest.fixture
def old_api(tmp_path: Path) -> Iterator[Path]:
    """A kubeconfig of a stand-in that says it is Kubernetes 1.15 and has nothing."""

    class StandIn(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            version = {"gitVersion": "v1.15.4", "major": "1", "minor": "15"}
            body = version if self.path == "/version" else {"items": [], "metadata": {}, "groups": []}
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), StandIn) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        document = json.loads(kubeconfig(f"http://127.0.0.1:{server.server_port}", tmp_path / "none", {}))
        del document["clusters"][0]["cluster"]["certificate-authority"]
        (tmp_path / "old").write_text(json.dumps(document))
        yield tmp_path / "old"
        server.shutdown()


def test_a_cluster_that_is_too_old_is_refused_with_the_sentence(old_api: Path, tmp_path: Path) -> None:
    seen = look(old_api, tmp_path, "--only", "kubernetes-version")
    assert (seen.exit, seen.verdict("kubernetes-version")) == (1, "fail")
    assert "1.15.4" in seen.check("kubernetes-version")["seen"]
    assert "1.16" in seen.check("kubernetes-version")["expected"]


def _an_authority() -> bytes:
    from fairlead.runtime.certificates import authority

    return authority("somebody else", 1_790_000_000.0, 3650).certificate
