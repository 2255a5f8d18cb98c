"""Objects of the API as facts: what a field means, and what its absence means."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.objects.times import seconds_of
from fairlead.preflight.gather import cluster, nodes, services, storage
from fairlead.preflight.gather.reach import Seen

NOW = seconds_of("2026-01-01T00:10:00Z") or 0.0


def a_node(name: str = "n1", **status: Any) -> dict[str, Any]:
    ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-01T00:09:30Z"}
    info = {"operatingSystem": "linux", "architecture": "amd64", "kubeletVersion": "v1.34.0"}
    return {
        "metadata": {"name": name, "labels": {"a": "b"}},
        "spec": {"podCIDRs": ["10.0.1.0/24"], "taints": [{"key": "gpu", "effect": "NoSchedule"}]},
        "status": {"conditions": [ready], "nodeInfo": info, "addresses": [_at("10.9.0.1")], **status},
    }


def _at(address: str) -> dict[str, str]:
    return {"type": "InternalIP", "address": address}


def a_pod(node: str, *requests: dict[str, str], phase: str = "Running", owner: str = "", **meta: Any) -> dict[str, Any]:
    owners = [{"kind": "DaemonSet", "name": owner}] if owner else []
    return {
        "metadata": {"name": "p", "namespace": "ns", "ownerReferences": owners, **meta},
        "spec": {"nodeName": node, "containers": [{"name": "c", "resources": {"requests": each}} for each in requests]},
        "status": {"phase": phase, "conditions": [{"type": "Ready", "status": "True"}]},
    }


def test_a_node_is_told_with_its_amounts_as_numbers() -> None:
    node = a_node(allocatable={"cpu": "3920m", "memory": "16Gi", "nvidia.com/gpu": "8", "odd": "?"})
    (found,) = nodes.nodes_facts([node], [a_pod("n1", {"cpu": "500m", "nvidia.com/gpu": "1"}, {"cpu": "1"})], None, NOW)
    assert found["allocatable"] == {"cpu": 3.92, "memory": 16 << 30, "nvidia.com/gpu": 8}
    assert found["requested"] == {"cpu": 1.5, "nvidia.com/gpu": 1}
    assert (found["ready"], found["os"], found["heartbeat_age_seconds"]) == (True, "linux", 30)
    assert found["taints"] == [{"key": "gpu", "value": "", "effect": "NoSchedule"}]
    assert "lease_age_seconds" not in found, "leases were not listed"


def test_pods_that_ended_ask_for_nothing_and_unlisted_pods_are_unknown() -> None:
    (idle,) = nodes.nodes_facts([a_node()], [a_pod("n1", {"cpu": "1"}, phase="Succeeded")], None, NOW)
    (unknown,) = nodes.nodes_facts([a_node()], None, None, NOW)
    assert idle["requested"] == {}
    assert "requested" not in unknown


def test_a_node_that_is_not_ready_says_since_when() -> None:
    down = {"type": "Ready", "status": "Unknown", "lastTransitionTime": "2026-01-01T00:05:00Z"}
    full = {"type": "DiskPressure", "status": "True"}
    (found,) = nodes.nodes_facts([a_node(conditions=[down, full])], [], [], NOW)
    assert (found["ready"], found["not_ready_since"], found["pressure"]) == (
        False,
        "2026-01-01T00:05:00Z",
        ["DiskPressure"],
    )


def test_what_runs_before_counts_as_its_largest() -> None:
    spec: dict[str, Any] = {
        "initContainers": [_asking(requests={"cpu": "3"}), _asking(requests={"cpu": "1"})],
        "containers": [_asking(limits={"cpu": "1"}), _asking(requests={"cpu": "1"})],
        "overhead": {"cpu": "250m"},
    }
    assert nodes.pod_requests({"metadata": {"name": "p"}, "spec": spec}) == {"cpu": 3.25}


def _asking(**resources: dict[str, str]) -> dict[str, Any]:
    return {"name": "c", "resources": resources}


def test_a_pod_that_cannot_be_read_makes_the_sum_unknown() -> None:
    (found,) = nodes.nodes_facts(
        [a_node()], [{"metadata": {"name": "p"}, "spec": {"nodeName": "n1", "containers": 7}}], [], NOW
    )
    assert "requested" not in found


def a_daemonset(name: str, image: str, desired: int, ready: int, **labels: str) -> dict[str, Any]:
    spec = {"containers": [{"image": image}], "tolerations": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]}
    return {
        "metadata": {"name": name, "namespace": "gpu", "labels": labels},
        "spec": {"template": {"spec": spec}},
        "status": {"desiredNumberScheduled": desired, "numberReady": ready},
    }


def test_the_operator_is_told_with_its_operands_on_each_node() -> None:
    by_operator = {"app.kubernetes.io/managed-by": "gpu-operator", "app.kubernetes.io/version": "v25.3.0"}
    sets = [
        a_daemonset("nvidia-driver-daemonset", "x/driver:580", 2, 1, **by_operator),
        a_daemonset("nvidia-device-plugin-daemonset", "x/k8s-device-plugin:v0.17", 2, 2, **by_operator),
    ]
    own = [a_pod("g1", owner="nvidia-device-plugin-daemonset", namespace="gpu")]
    policy = {
        "metadata": {"name": "cluster-policy"},
        "spec": {"driver": {"enabled": True}},
        "status": {"state": "notReady"},
    }
    operator, on_nodes = nodes.operator_facts([policy], sets, own)
    assert (operator["namespace"], operator["version"], operator["cluster_policy_state"]) == (
        "gpu",
        "v25.3.0",
        "notReady",
    )
    assert (operator["driver_enabled"], operator["driver_pods_ready"], operator["second_plugin"]) == (
        True,
        False,
        False,
    )
    assert operator["daemonsets"][0]["tolerations"] == ["nvidia.com/gpu:NoSchedule"]
    assert on_nodes["g1"] == {"plugin_pod": "running", "operands": {"device-plugin": "running"}}


def test_without_a_policy_there_is_no_operator_but_plugins_are_seen() -> None:
    sets = [a_daemonset("plugin", "x/k8s-device-plugin:v0.17", 1, 1)]
    operator, on_nodes = nodes.operator_facts([], sets, [a_pod("g1", owner="plugin", namespace="gpu")])
    assert operator == {"installed": False}
    assert on_nodes["g1"]["plugin_pod"] == "running"


def test_openshift_is_what_its_own_object_says_and_nothing_else() -> None:
    history = [{"state": "Partial", "version": "4.3.1"}, {"state": "Completed", "version": "4.2.9"}]
    version = {"status": {"desired": {"version": "4.3.1"}, "history": history}}
    found = cluster.openshift_facts(version, [], [])
    assert (found["cluster_version_object"], found["desired"], found["history"]) == ("found", "4.3.1", history)
    assert cluster.openshift_facts("forbidden", [], [])["cluster_version_object"] == "forbidden"
    assert cluster.openshift_facts("not_found", [], [a_node()])["node_os_id_label"] == "absent"


@pytest.mark.parametrize(
    ("volumes", "allows"), [([], False), (["configMap"], False), (["configMap", "hostPath"], True), (["*"], True)]
)
def test_policies_that_let_in_host_paths_are_seen(volumes: list[str], allows: bool) -> None:
    found = cluster.psp_facts([{"metadata": {"name": "p"}, "spec": {"volumes": volumes}}])
    assert (found["objects"], found["any_allows_host_path"]) == (1, allows)
    assert cluster.psp_facts(None) == {"api_served": False}


GUARD = {"kind": "ValidatingWebhookConfiguration", "metadata": {"name": "guard"}}


def test_a_webhook_without_endpoints_that_is_asked_about_our_pods_is_seen() -> None:
    service = {"namespace": "policy", "name": "kyverno"}
    hook = {
        "name": "validate.kyverno.svc",
        "clientConfig": {"service": service},
        "rules": [{"apiGroups": [""], "resources": ["pods"]}],
    }
    selective = {**hook, "name": "z", "namespaceSelector": {"matchLabels": {"team": "a"}}}
    ready = [
        {"addresses": ["10.0.0.1"], "conditions": {"ready": True}},
        {"addresses": ["10.0.0.2"], "conditions": {"ready": False}},
    ]
    slices = [
        {"metadata": {"namespace": "policy", "labels": {"kubernetes.io/service-name": "kyverno"}}, "endpoints": ready}
    ]
    bare, narrow = cluster.webhook_facts([{**GUARD, "webhooks": [hook, selective]}], [], "fairlead")
    assert (bare["endpoints"], bare["matches_us"], bare["failure_policy"]) == (0, True, "Fail")
    assert bare["configuration"] == "ValidatingWebhookConfiguration guard"
    assert not narrow["matches_us"]
    assert cluster.webhook_facts([{**GUARD, "webhooks": [hook]}], slices, "fairlead")[0]["endpoints"] == 1


NAME = "kubernetes.io/metadata.name"


@pytest.mark.parametrize(
    ("more", "is_asked"),
    [
        ({"rules": [{"apiGroups": ["batch"], "resources": ["jobs"], "operations": ["CREATE"]}]}, True),
        ({"rules": [{"apiGroups": ["apps"], "resources": ["*"]}]}, True),
        ({"rules": [{"apiGroups": ["cert-manager.io"], "resources": ["*"]}]}, False),
        ({"rules": [{"apiGroups": [""], "resources": ["pods"], "operations": ["DELETE"]}]}, False),
        ({"objectSelector": {"matchLabels": {"app": "a"}}}, False),
        ({"namespaceSelector": {"matchExpressions": [{"key": NAME, "operator": "In", "values": ["fairlead"]}]}}, True),
        ({"namespaceSelector": {"matchExpressions": [{"key": NAME, "operator": "In", "values": ["x"]}]}}, False),
        ({"namespaceSelector": {"matchExpressions": [{"key": NAME, "operator": "NotIn", "values": ["x"]}]}}, True),
        ({"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "Exists"}]}}, False),
        (
            {"matchConditions": [{"name": "a", "expression": "true"}]},
            {"unknown": "conditions of a decide what it is asked about"},
        ),
    ],
)
def test_what_a_webhook_is_asked_about_is_read_from_its_rules_and_selectors(
    more: dict[str, Any], is_asked: Any
) -> None:
    hook = {"name": "a", "clientConfig": {}, "rules": [{"apiGroups": [""], "resources": ["pods"]}], **more}
    (found,) = cluster.webhook_facts([{**GUARD, "webhooks": [hook]}], [], "fairlead")
    assert found["matches_us"] == is_asked


def _namespace(name: str, expires: str = "", **labels: str) -> dict[str, Any]:
    annotations = {cluster.EXPIRES: expires} if expires else {}
    return {"metadata": {"name": name, "labels": labels, "annotations": annotations}, "status": {"phase": "Active"}}


def test_earlier_probes_are_left_over_once_their_time_is_up() -> None:
    old = _namespace("old", "2026-01-01T00:09:00Z", **{cluster.PROBE_LABEL: "a"})
    now = _namespace("now", "2026-01-01T00:11:00Z", **{cluster.PROBE_LABEL: "b"})
    queues = {"metadata": {"name": cluster.QUEUES, "annotations": {"meta.helm.sh/release-name": "kai-scheduler"}}}
    versions = {"spec": {"versions": [{"name": "v2", "served": True}, {"name": "v1", "served": False}]}}
    found = cluster.leftover_facts([old, now, _namespace("default")], [{**queues, **versions}], [], set(), [], NOW)
    assert found["probe_namespaces"] == ["old"]
    assert (found["queue_crd_owner"], found["queue_crd_versions"]) == ("kai", ["v2"])
    assert cluster.leftover_facts([], [], [], set(), [], NOW)["queue_crd_owner"] == "none"


def test_namespaces_of_the_chart_that_no_release_owns_are_named() -> None:
    ours = _namespace("fairlead-reservation")
    ours["metadata"]["annotations"] = {"meta.helm.sh/release-name": "fairlead"}
    found = cluster.leftover_facts([_namespace("fairlead-node"), ours, _namespace("other")], [], [], set(), [], NOW)
    assert found["namespaces_of_others"] == ["fairlead-node"]


def test_our_own_namespace_that_goes_is_named_whoever_made_it() -> None:
    going = {**_namespace("fairlead"), "status": {"phase": "Terminating"}}
    other = {**_namespace("other"), "status": {"phase": "Terminating"}}
    assert cluster.terminating([going, other], "fairlead") == ["fairlead"]


def test_kinds_of_our_group_that_are_not_ours_are_named() -> None:
    theirs = {"metadata": {"name": "projects.fairlead.dev"}, "spec": {"group": "fairlead.dev"}}
    ours = {**theirs, "metadata": {"name": "departments.fairlead.dev", "labels": {cluster.PART: "fairlead"}}}
    other = {"metadata": {"name": "projects.example.com"}, "spec": {"group": "example.com"}}
    found = cluster.leftover_facts([], [theirs, ours, other], [], set(), [], NOW)
    assert found["kinds_of_others"] == ["projects.fairlead.dev"]


def test_either_annotation_makes_a_class_the_default() -> None:
    beta = {"storageclass.beta.kubernetes.io/is-default-class": "true"}
    classes = [
        {"metadata": {"name": "a", "annotations": beta}, "provisioner": "x.csi"},
        {"metadata": {"name": "b"}, "provisioner": "y", "volumeBindingMode": "WaitForFirstConsumer"},
    ]
    a, b = storage.class_facts(classes, [{"metadata": {"name": "x.csi"}}], [])
    assert (a["default"], a["binding"], a["provisioner_alive"]) == (True, "Immediate", True)
    assert (b["default"], b["binding"], "provisioner_alive" in b) == (False, "WaitForFirstConsumer", False)


def _answer(*series: dict[str, Any]) -> Seen:
    body = {"status": "success", "data": {"resultType": "vector", "result": list(series)}}
    return Seen(tcp="ok", status=200, body=services.json.dumps(body).encode())


def _count(value: float) -> Seen:
    return _answer({"metric": {}, "value": [0, str(value)]})


def test_metrics_are_counted_and_nodes_without_exporter_named() -> None:
    known = [{"name": "n1", "addresses": ["10.9.0.1"]}, {"name": "n2", "addresses": ["10.9.0.2"]}]
    answers = {key: _answer() for key in services.QUERIES} | {
        "requests": _count(812),
        "duplicates": _count(1),
        "age": _count(12.04),
        "build": _answer({"metric": {"version": "v2.9.2"}, "value": [0, "1"]}),
        "uname": _answer({"metric": {"instance": "10.9.0.1:9100", "nodename": "ip-10"}, "value": [0, "1"]}),
    }
    found = services.metrics_facts(answers, known)
    assert (found["kube_pod_container_resource_requests"], found["kube_node_status_allocatable"]) == (812, 0)
    assert (found["newest_sample_age_seconds"], found["kube_state_metrics_build_info_version"]) == (12.0, "v2.9.2")
    assert (found["node_exporter_up"], found["node_exporter_absent"]) == ({"n1": 1}, ["n2"])
    assert found["gpu_util"] == {"n1": 0.0, "n2": 0.0}


def test_a_prometheus_that_refuses_tells_nothing_of_metrics() -> None:
    refused = Seen(tcp="ok", status=403, body=b"forbidden")
    assert services.prometheus_answers(refused, None) == {
        "query_ok": False,
        "tcp": "ok",
        "tls": "not_used",
        "get_query_with_token": 403,
    }
    found = services.metrics_facts(dict.fromkeys(services.QUERIES, refused), [])
    assert found == {}


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        (Seen(dns="nxdomain"), "dns"),
        (Seen(dns="ok", tcp="refused"), "refused"),
        (Seen(dns="ok", tcp="timeout"), "timeout"),
        (Seen(dns="nxdomain", tcp="ok", connect=407), "proxy"),
        (Seen(dns="ok", tcp="ok", tls="verify_failed"), "tls"),
        (Seen(dns="ok", tcp="ok", tls="ok"), "no_answer"),
        (Seen(dns="ok", tcp="ok", status=500), "ok"),
    ],
)
def test_the_first_step_that_failed_gives_the_class(seen: Seen, word: str) -> None:
    assert services.failure_of(seen) == word


@pytest.mark.parametrize(
    ("spec", "takes"),
    [
        ({"serviceMonitorNamespaceSelector": {}}, True),
        ({}, False),
        ({"serviceMonitorNamespaceSelector": {"matchLabels": {"team": "gpu"}}}, True),
        ({"serviceMonitorNamespaceSelector": {"matchLabels": {"team": "web"}}}, False),
        ({"serviceMonitorNamespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "fairlead"}}}, True),
        (
            {
                "serviceMonitorNamespaceSelector": {
                    "matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["gpu"]}]
                }
            },
            False,
        ),
    ],
)
def test_a_prometheus_looks_into_the_namespaces_it_selects_and_without_a_selector_into_its_own(
    spec: dict[str, Any], takes: bool
) -> None:
    ours = {"metadata": {"name": "fairlead", "labels": {"team": "gpu"}}}
    each = {"metadata": {"name": "p", "namespace": "monitoring"}, "spec": spec}
    (found,) = services.prometheus_objects([each], [], [], ours)["selectors"]
    assert (found["selects_namespace"], found["selects_none"]) == (takes, True)


def test_a_prometheus_without_a_selector_of_namespaces_looks_into_ours_where_that_is_its_own() -> None:
    each = {"metadata": {"name": "p", "namespace": "fairlead"}, "spec": {"serviceMonitorSelector": {}}}
    (found,) = services.prometheus_objects([each], [], [], {"metadata": {"name": "fairlead"}})["selectors"]
    assert (found["selects_namespace"], found["selects_none"]) == (True, False)


def test_a_selector_that_nobody_can_read_is_unknown() -> None:
    condition = {"key": "release", "operator": "Sometimes"}
    spec = {"serviceMonitorSelector": {"matchExpressions": [condition]}}
    found = services.prometheus_objects(
        [{"metadata": {"namespace": "monitoring", "name": "main"}, "spec": spec}],
        [],
        [],
        {"metadata": {"name": "fairlead"}},
    )
    assert "Sometimes" in found["selectors"][0]["match_labels"]["unknown"]


def test_where_the_api_server_answers_is_told_by_the_endpoints_of_its_service() -> None:
    def a_slice(namespace: str, service: str, *addresses: str) -> dict[str, Any]:
        labels = {"kubernetes.io/service-name": service}
        endpoints = [{"addresses": [each]} for each in addresses]
        return {
            "metadata": {"namespace": namespace, "labels": labels},
            "endpoints": endpoints,
            "ports": [{"port": 6443}],
        }

    slices = [a_slice("default", "kubernetes", "10.9.0.1", "fd00::1"), a_slice("kube-system", "kubernetes", "10.9.0.2")]
    assert nodes.cluster_addresses([], None, slices)["api_endpoints"] == ["10.9.0.1:6443", "[fd00::1]:6443"]
    assert "api_endpoints" not in nodes.cluster_addresses([], None, [])


def a_driver(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "csi"}, "spec": {"template": {"spec": spec}}}


@pytest.mark.parametrize(
    "spec",
    [
        {"containers": [{"args": ["--kubelet-registration-path=/var/lib/kubelet/plugins/nfs.csi/csi.sock"]}]},
        {"volumes": [{"hostPath": {"path": "/var/lib/kubelet/plugins/nfs.csi"}}]},
    ],
)
def test_the_pods_of_the_shared_class_s_driver_are_told_by_node(spec: dict[str, Any]) -> None:
    classes = [{"metadata": {"name": "many"}, "provisioner": "nfs.csi"}]
    driver, other = a_driver("nfs-node", **spec), a_driver("else", containers=[{"args": ["/plugins/else/csi.sock"]}])
    ours, theirs = a_pod("n1", owner="nfs-node"), a_pod("n2", owner="else")
    pods = [{**each, "metadata": {**each["metadata"], "namespace": "csi"}} for each in (ours, theirs)]
    told = storage.plugin_facts("many", classes, [driver, other], pods, ["n1", "n2"])
    assert told == {"n1": "running", "n2": "none"}
    assert storage.plugin_facts("many", classes, [other], pods, ["n1"]) == {}, "nobody says that it is the driver"
    assert storage.plugin_facts("", classes, [driver], pods, ["n1"]) == {}


def test_the_cluster_s_own_proxy_is_told_as_it_is_in_force() -> None:
    status = {"httpsProxy": "http://proxy:3128", "noProxy": ".svc,10.0.0.0/8"}
    assert cluster.proxy_facts({"status": status}) == {
        "proxy": {"https": "http://proxy:3128", "no_proxy": ".svc,10.0.0.0/8"}
    }
    assert cluster.proxy_facts(None) == {}
