"""The chart, by Helm on a real API server: what it refuses, what it installs, and that its rights are those that are used.

No controller manager and no kubelet run here: pods of the chart are not started, their processes are, each with its own account.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.howto import Reader, blocks
from tests.parts.apiserver import ApiServer, api_server
from tests.parts.build import Unavailable
from tests.parts.helm import helm

from fairlead.cli.roles.settings import AdmissionSettings, RoleTree
from fairlead.runtime.settings import load

pytestmark = [pytest.mark.kubernetes, pytest.mark.slow, pytest.mark.timeout(900)]

CHART = Path(__file__).parents[2] / "deploy" / "chart"
NEWEST = ("--kube-version", "1.34.0")
"""Helm alone takes an older one for granted."""
CONNECTED = ("--set", "agent.url=https://fairlead.example.com,agent.cluster=c,agent.secret=s")


class Helm:
    """A Helm with folders of its own, on an API server or on none."""

    def __init__(self, program: Path, folder: Path, kubeconfig: Path | None = None) -> None:
        self._program = program
        homes = {f"HELM_{name}_HOME": str(folder / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
        self._env = {**os.environ, **homes, **({"KUBECONFIG": str(kubeconfig)} if kubeconfig else {})}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The finished command."""
        return subprocess.run([str(self._program), *words], capture_output=True, text=True, env=self._env, timeout=700)

    def ok(self, *words: str) -> str:
        """What a command that must succeed said."""
        done = self.run(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def objects(self, *words: str) -> list[dict[str, Any]]:
        """What the chart comes to."""
        from ruamel.yaml import YAML

        text = self.ok("template", "fairlead", str(CHART), *NEWEST, "-n", "fairlead", *words)
        return [document for document in YAML(typ="safe").load_all(text) if document]


def _helm(major: int) -> Path:
    try:
        return helm(major)
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(params=[3, 4], ids=["helm3", "helm4"])
def program(request: pytest.FixtureRequest, tmp_path: Path) -> Helm:
    """Each Helm in turn, without a cluster."""
    return Helm(_helm(request.param), tmp_path)


@pytest.fixture(scope="module")
def audited() -> Iterator[ApiServer]:
    """An API server that notes every call."""
    try:
        with api_server(audit=True) as server:
            yield server
    except Unavailable as reason:
        pytest.skip(str(reason))


def test_it_passes_the_linter(program: Helm) -> None:
    assert "0 chart(s) failed" in program.ok("lint", "--strict", str(CHART), *NEWEST, *CONNECTED)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("sheduler.replicas=3", "sheduler"),
        ("scheduler.replicas=many", "replicas"),
        ("scheduler.replicas=0", "replicas"),
        ("image.pullPolicy=Sometimes", "pullPolicy"),
        ("agent.url=fairlead.example.com", "url"),
        ("agent.url=ftp://fairlead.example.com", "url"),
        ("image.digest=sha256:abc", "digest"),
        ("image.repository=http://registry.example/fairlead", "repository"),
        ("podSecurityPolicy.enabled=maybe", "podSecurityPolicy"),
        ("server.service.type=Ingress", "service"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(program: Helm, value: str, told: str) -> None:
    done = program.run("template", "fairlead", str(CHART), *NEWEST, "--set", value)
    assert done.returncode != 0
    assert told in done.stderr


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ("agent.url=https://x.example.com,agent.cluster=c", "fairlead cluster create"),
        ("server.enabled=true", "server.existingSecret names a Secret"),
        ("admission.certManager.enabled=true", "admission.certManager.issuerName"),
        ("agent.url=https://x,agent.cluster=c,agent.secret=s,agent.proxy=http://ann:pw@p:1", "agent.proxyCredentials"),
        ("podSecurityPolicy.enabled=true", "Kubernetes v1.34.0 serves no PodSecurityPolicy (gone in 1.25)"),
        ("server.oidc.issuer=https://id.example", "give the id this application has at the provider"),
        ("server.oidc.issuer=https://id.example,server.oidc.clientId=c", "the provider sends browsers back there"),
    ],
)
def test_a_missing_value_is_asked_for_with_what_it_is(program: Helm, values: str, told: str) -> None:
    done = program.run("template", "fairlead", str(CHART), *NEWEST, "--set", values)
    assert (done.returncode != 0, told in done.stderr) == (True, True), done.stderr


def test_every_pod_is_as_confined_as_pod_security_restricted_asks(program: Helm) -> None:
    values = (*CONNECTED, "--set", "server.enabled=true,server.existingSecret=s")
    pods = [
        o["spec"]["template"]["spec"]
        for o in program.objects(*values)
        if o["kind"] in ("Deployment", "StatefulSet", "Job")
    ]
    assert len(pods) == 7
    for pod in pods:
        (container,) = pod["containers"]
        security = container["securityContext"]
        assert (security["allowPrivilegeEscalation"], security["readOnlyRootFilesystem"]) == (False, True)
        assert (security["runAsNonRoot"], security["capabilities"]["drop"]) == (True, ["ALL"])
        assert security["seccompProfile"]["type"] == "RuntimeDefault"
        assert {"requests", "limits"} <= container["resources"].keys()
        assert pod["enableServiceLinks"] is False, "a Service's variables would be taken for settings"
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()


def test_on_openshift_no_pod_says_a_seccomp_profile_whatever_the_version(program: Helm) -> None:
    found = [o for o in program.objects("--set", "openshift.enabled=true") if o["kind"] == "Deployment"]
    assert found
    for each in found:
        (container,) = each["spec"]["template"]["spec"]["containers"]
        assert "seccompProfile" not in container["securityContext"], each["metadata"]["name"]


def test_agents_and_reservations_have_two_namespaces(program: Helm) -> None:
    done = program.run("template", "fairlead", str(CHART), *NEWEST, "--set", "reservation.namespace=fairlead-node")
    assert done.returncode != 0
    assert "node.namespace and reservation.namespace are both" in done.stderr


def test_pod_security_policies_are_made_where_the_kind_is_unless_the_value_says_no(program: Helm) -> None:
    served = ("--api-versions", "policy/v1beta1/PodSecurityPolicy")
    kinds = [o["kind"] for o in program.objects(*served)]
    assert kinds.count("PodSecurityPolicy") == 2
    assert "PodSecurityPolicy" not in [o["kind"] for o in program.objects()]
    off = program.objects(*served, "--set", "podSecurityPolicy.enabled=false")
    assert "PodSecurityPolicy" not in [o["kind"] for o in off]


def test_on_openshift_pods_name_no_user_and_two_accounts_have_constraints(program: Helm) -> None:
    objects = program.objects("--set", "openshift.enabled=true")
    for pod in (o["spec"]["template"]["spec"] for o in objects if o["kind"] in ("Deployment", "Job")):
        assert pod["securityContext"] == {"runAsNonRoot": True}
    given = {o["metadata"]["name"]: o for o in objects if o["kind"] == "SecurityContextConstraints"}
    assert {name: o["groups"] for name, o in given.items()} == {
        "fairlead-node": ["system:serviceaccounts:fairlead-node"],
        "fairlead-reservation": ["system:serviceaccounts:fairlead-reservation"],
    }
    assert [name for name, o in given.items() if o["allowHostDirVolumePlugin"]] == ["fairlead-node"]
    for each in given.values():
        assert (each["allowPrivilegedContainer"], each["allowPrivilegeEscalation"]) == (False, False)
        assert (each["allowHostNetwork"], each["allowHostPID"], each["allowedCapabilities"]) == (False, False, [])


@pytest.mark.parametrize(
    ("required", "rule"),
    [
        ("true", "requiredDuringSchedulingIgnoredDuringExecution"),
        ("false", "preferredDuringSchedulingIgnoredDuringExecution"),
    ],
)
def test_the_product_goes_to_system_nodes_first_or_nowhere_else(program: Helm, required: str, rule: str) -> None:
    given = ("--set", f"systemNodes.label=example.com/system,systemNodes.required={required}")
    pods = [o["spec"]["template"]["spec"] for o in program.objects(*given) if o["kind"] == "Deployment"]
    assert len(pods) == 3
    for pod in pods:
        assert list(pod["affinity"]["nodeAffinity"]) == [rule]
        assert "example.com/system" in str(pod["affinity"]["nodeAffinity"][rule])
        assert {"key": "example.com/system", "operator": "Exists"} in pod["tolerations"]


def test_where_others_make_namespaces_the_controllers_may_not(program: Helm) -> None:
    objects = program.objects("--set", "projects.createNamespaces=false")
    (role,) = (o for o in objects if o["kind"] == "ClusterRole" and o["metadata"]["name"] == "fairlead-controllers")
    (rule,) = (rule for rule in role["rules"] if "namespaces" in rule["resources"])
    assert rule["verbs"] == ["list", "watch"]
    (settings,) = (o["data"]["settings.yaml"] for o in objects if o["metadata"]["name"] == "fairlead-settings")
    assert "createNamespaces: false" in settings


def test_a_change_starts_again_only_the_roles_that_read_it(program: Helm) -> None:
    def checksums(*words: str) -> dict[str, str]:
        deployments = [o for o in program.objects(*CONNECTED, *words) if o["kind"] == "Deployment"]
        pods = {o["metadata"]["name"]: o["spec"]["template"]["metadata"] for o in deployments}
        return {name: pod["annotations"]["checksum/settings"] for name, pod in pods.items() if name != "prometheus"}

    before, by_poll = checksums(), checksums("--set", "agent.transport=poll")
    assert {name for name in before if before[name] != by_poll[name]} == {"fairlead-agent"}
    shadow = checksums("--set", "scheduler.mode=shadow")
    assert {name for name in before if before[name] != shadow[name]} == set(before)


def test_browsers_reach_a_control_plane_by_the_ingress_that_is_asked_for(program: Helm) -> None:
    served = "server.enabled=true,server.existingSecret=s,server.ingress.host=fairlead.example.com"
    objects = program.objects("--set", f"{served},server.ingress.tlsSecret=tls,server.ingress.className=nginx")
    (ingress,) = (o for o in objects if o["kind"] == "Ingress")
    assert ingress["apiVersion"] == "networking.k8s.io/v1"
    assert ingress["spec"]["tls"] == [{"hosts": ["fairlead.example.com"], "secretName": "tls"}]
    assert ingress["spec"]["ingressClassName"] == "nginx"
    old = program.objects("--api-versions", "networking.k8s.io/v1beta1/Ingress", "--set", served)
    assert [o["apiVersion"] for o in old if o["kind"] == "Ingress"] == ["networking.k8s.io/v1beta1"]


def test_credentials_of_a_proxy_are_in_a_secret_and_nowhere_else(program: Helm) -> None:
    proxied = ("--set", "agent.proxy=http://p:3128,agent.noProxy=10.0.0.0/8,agent.proxyCredentials=ann:pass-word")
    objects = program.objects(*CONNECTED, *proxied)
    holders = [o for o in objects if "pass-word" in str(o)]
    assert [(o["kind"], o["stringData"]["proxy-credentials"]) for o in holders] == [("Secret", "ann:pass-word")]
    (settings,) = (o["data"]["settings.yaml"] for o in objects if o["metadata"]["name"] == "fairlead-settings")
    assert 'proxy: "http://p:3128"\n  noProxy: "10.0.0.0/8"' in settings


def test_sign_in_with_a_provider_is_told_as_the_control_plane_reads_it(program: Helm, tmp_path: Path) -> None:
    """The settings of the chart are those of the program, and the secret is in the Secret that was named alone."""
    values = tmp_path / "oidc.yaml"
    values.write_text(blocks("sign-in-with-your-provider", "yaml")[0])
    more = "server.enabled=true,server.existingSecret=s,server.oidc.ca=PEM,server.oidc.proxy=http://p:3128"
    objects = program.objects("-f", str(values), "--set", more)
    (settings,) = (o["data"] for o in objects if o["metadata"]["name"] == "fairlead-settings")
    (tmp_path / "settings.yaml").write_text(settings["settings.yaml"])
    told = load(RoleTree, file=tmp_path / "settings.yaml", env={}).server
    assert (told.public_url, told.oidc.issuer) == ("https://fairlead.example.com", "https://id.example.com/realms/corp")
    assert [(each.group, each.role, each.scope) for each in told.oidc.group_roles] == [
        ("gpu-admins", "administrator", "system"),
        ("vision", "researcher", "project/berlin/vision"),
        ("leads", "viewer", "department/berlin/research"),
    ]
    (pod,) = (
        o["spec"]["template"]["spec"]
        for o in objects
        if o["metadata"]["name"] == "fairlead-server" and o["kind"] == "Deployment"
    )
    mounts = {m["name"]: m["mountPath"] for m in pod["containers"][0]["volumeMounts"]}
    volumes = {v["name"]: v for v in pod["volumes"]}
    assert volumes["oidc"]["secret"]["secretName"] == "fairlead-oidc"
    for file in (told.oidc.client_secret_file, told.oidc.proxy_credentials_file):
        assert Path(file).parent == Path(mounts["oidc"])
    assert (told.oidc.ca_file, settings["oidc-ca.crt"]) == (f"{mounts['settings']}/oidc-ca.crt", "PEM")
    plain = program.objects("--set", "server.enabled=true,server.existingSecret=s")
    assert "oidc" not in str(plain)


def test_the_guide_to_sign_in_is_followed_on_a_release(audited: ApiServer, tmp_path: Path) -> None:
    (typed,) = blocks("sign-in-with-your-provider")
    reader = Reader(tmp_path, audited.write_kubeconfig(tmp_path / "kubeconfig"))
    program = Helm(_helm(3), tmp_path, tmp_path / "kubeconfig")
    words = (
        "-n",
        "fairlead",
        "--create-namespace",
        "--no-hooks",
        "--set",
        "server.enabled=true,server.existingSecret=s",
    )
    program.ok("install", "fairlead", str(CHART), *words)
    (tmp_path / "oidc.yaml").write_text(blocks("sign-in-with-your-provider", "yaml")[0])
    try:
        reader.types(typed, {"SECRET": "not-told", "--reuse-values": "--reuse-values --no-hooks"})
        settings = reader.types("kubectl -n fairlead get configmap fairlead-settings -o yaml")
        assert ("https://id.example.com/realms/corp" in settings, "not-told" in settings) == (True, False)
    finally:
        program.ok("uninstall", "fairlead", "-n", "fairlead", "--no-hooks")


def test_no_right_is_given_to_everything(program: Helm) -> None:
    rules = [rule for o in program.objects(*CONNECTED) if o["kind"] in ("Role", "ClusterRole") for rule in o["rules"]]
    assert rules
    for rule in rules:
        assert not any("*" in part for words in rule.values() for part in words), rule


def test_in_shadow_mode_the_scheduler_may_write_nothing_of_the_cluster(program: Helm) -> None:
    objects = program.objects("--set", "scheduler.mode=shadow")
    (role,) = (o for o in objects if o["kind"] == "ClusterRole" and o["metadata"]["name"] == "fairlead-scheduler")
    may = {(resource, verb) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]}
    assert {what for what in may if what[1] not in ("list", "watch")} == {("tokenreviews", "create")}


def test_it_is_installed_upgraded_rolled_back_and_removed(audited: ApiServer, tmp_path: Path) -> None:
    program = Helm(_helm(3), tmp_path, audited.write_kubeconfig(tmp_path / "kubeconfig"))
    said = program.ok("install", "fairlead", str(CHART), "-n", "fairlead", "--create-namespace", "--no-hooks")
    assert "connected to no control plane" in said
    program.ok(
        "upgrade", "fairlead", str(CHART), "-n", "fairlead", "--no-hooks", *CONNECTED, "--set", "scheduler.replicas=3"
    )
    assert _replicas(tmp_path) == "3"
    program.ok("rollback", "fairlead", "1", "-n", "fairlead", "--no-hooks")
    assert _replicas(tmp_path) == "2"
    program.ok("uninstall", "fairlead", "-n", "fairlead", "--no-hooks")
    assert "fairlead" not in program.ok("list", "-A", "-q")


def test_the_newer_helm_installs_it_too(audited: ApiServer, tmp_path: Path) -> None:
    program = Helm(_helm(4), tmp_path, audited.write_kubeconfig(tmp_path / "kubeconfig"))
    program.ok("install", "fairlead", str(CHART), "-n", "fairlead", "--create-namespace", "--no-hooks")
    program.ok("upgrade", "fairlead", str(CHART), "-n", "fairlead", "--no-hooks", *CONNECTED)
    program.ok("uninstall", "fairlead", "-n", "fairlead", "--no-hooks")


def _replicas(folder: Path) -> str:
    command = ["kubectl", "--kubeconfig", str(folder / "kubeconfig"), "-n", "fairlead", "get", "deployment"]
    path = "jsonpath={.spec.replicas}"
    done = subprocess.run([*command, "fairlead-scheduler", "-o", path], capture_output=True, text=True, check=True)
    return done.stdout


def test_mps_is_off_unless_asked_for_and_then_the_node_agent_may_what_its_daemons_need(program: Helm) -> None:
    plain, on = (_node_agent(program, *words) for words in ((), ("--set", "node.mps.enabled=true,node.mps.pods=all")))
    assert ("hostPID" in plain["spec"], on["spec"]["hostPID"]) == (False, True)
    (before,), (after,) = plain["spec"]["containers"], on["spec"]["containers"]
    assert before["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert after["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["SETUID", "SETGID", "KILL"]}
    assert after["securityContext"]["allowPrivilegeEscalation"] is False
    added = [m for m in after["volumeMounts"] if m not in before["volumeMounts"]]
    assert [(m["mountPath"], m.get("subPath")) for m in added] == [("/run/fairlead/mps", None), ("/dev/shm", "shm")]


@pytest.mark.parametrize(("values", "pods"), [((), "off"), (("--set", "node.mps.enabled=true"), "asked")])
def test_all_roles_are_told_the_same_of_mps_and_the_controllers_may_make_its_volumes(
    program: Helm, values: tuple[str, ...], pods: str
) -> None:
    objects = program.objects(*values)
    told = [o["data"]["settings.yaml"] for o in objects if o["metadata"]["name"].endswith("-settings")]
    assert [f'mps: {{pods: "{pods}", nodeNamespace: fairlead-node}}' in text for text in told] == [True, True]
    (role,) = (o for o in objects if o["kind"] == "ClusterRole" and o["metadata"]["name"] == "fairlead-controllers")
    may = {(resource, verb) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]}
    assert (("persistentvolumes", "create") in may) is (pods != "off")


def _node_agent(program: Helm, *words: str) -> dict[str, Any]:
    """The pods of the nodes' agents."""
    (found,) = (o for o in program.objects(*words) if o["kind"] == "DaemonSet")
    return dict(found["spec"]["template"])


def test_runtime_and_storage_classes_of_peoples_work_are_what_the_values_say(program: Helm, tmp_path: Path) -> None:
    def told(*words: str) -> tuple[AdmissionSettings, set[str]]:
        objects = program.objects(*words)
        (settings,) = (o["data"] for o in objects if o["metadata"]["name"] == "fairlead-settings")
        (tmp_path / "settings.yaml").write_text(settings["settings.yaml"])
        hooks = [hook for o in objects if o["kind"].endswith("WebhookConfiguration") for hook in o["webhooks"]]
        asked = {resource for hook in hooks for rule in hook["rules"] for resource in rule["resources"]}
        return load(RoleTree, file=tmp_path / "settings.yaml", env={}).admission, asked

    mine, asked = told(
        "--set", "gpu.runtimeClass=nvidia,storage.defaultClass=fast,storage.allowedClasses={fast,shared}"
    )
    assert (mine.gpu_runtime_class, mine.default_storage_class) == ("nvidia", "fast")
    assert (mine.storage_classes, "persistentvolumeclaims" in asked) == (("fast", "shared"), True)
    mine, asked = told()
    assert (mine.gpu_runtime_class, mine.default_storage_class, mine.storage_classes) == ("", "", ())
    assert "persistentvolumeclaims" not in asked
