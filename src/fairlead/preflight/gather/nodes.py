"""Nodes and their GPUs, as the API tells of them. Pure: lists of objects in, facts out (`preflight.keys.nodes`)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from fairlead.objects.pod import Pod
from fairlead.objects.quantity import milli, whole
from fairlead.objects.times import seconds_of
from fairlead.preflight.roster import VIRTUAL
from fairlead.workloads.gpus import asked_of

Document = Mapping[str, Any]
Facts = dict[str, Any]

_PRESSURES: Final = ("DiskPressure", "MemoryPressure", "PIDPressure")
_PLUGIN: Final = re.compile(r"(?:k8s-device-plugin|nvidia-gpu-device-plugin|device-plugin)[:@]")
_OPERANDS: Final = re.compile(r"^(?:nvidia|gpu)-(.+?)(?:-daemonset)?$")


def nodes_facts(
    nodes: Sequence[Document], pods: Sequence[Document] | None, leases: Sequence[Document] | None, now: float
) -> list[Facts]:
    """All nodes. `pods`, `leases`: of all namespaces, and of kube-node-lease; None where they may not be listed."""
    asked = None if pods is None else _asked(pods)
    renewed = {_name(each): _seconds(each.get("spec", {}).get("renewTime")) for each in leases or ()}
    return [_node(each, asked, renewed, now) for each in sorted(nodes, key=_name)]


def _node(node: Document, asked: Mapping[str, Facts] | None, renewed: Mapping[str, float | None], now: float) -> Facts:
    meta, spec, status = node["metadata"], node.get("spec", {}), node.get("status", {})
    info, name, labels = status.get("nodeInfo", {}), meta["name"], meta.get("labels") or {}
    conditions = {each["type"]: each for each in status.get("conditions") or ()}
    ready: Document = conditions.get("Ready", {})
    found: Facts = {
        "name": name,
        "ready": ready.get("status") == "True",
        "pressure": [each for each in _PRESSURES if conditions.get(each, {}).get("status") == "True"],
        "unschedulable": bool(spec.get("unschedulable")),
        "virtual": any(labels.get(key) == value for key, value in VIRTUAL.items()),
        "labels": dict(labels),
        "taints": [_taint(each) for each in spec.get("taints") or ()],
        "addresses": _addresses(node),
        "capacity": amounts(status.get("capacity") or {}),
        "allocatable": amounts(status.get("allocatable") or {}),
        "images": sorted(name for each in status.get("images") or () for name in each.get("names") or ()),
    }
    told = {
        "os": info.get("operatingSystem"),
        "os_image": info.get("osImage"),
        "kernel": info.get("kernelVersion"),
        "arch": info.get("architecture"),
        "kubelet": info.get("kubeletVersion"),
        "runtime": info.get("containerRuntimeVersion"),
    }
    found |= {key: value for key, value in told.items() if value} | {"provider_id": spec.get("providerID") or ""}
    if not found["ready"] and ready.get("lastTransitionTime"):
        found["not_ready_since"] = ready["lastTransitionTime"]
    if (beat := _seconds(ready.get("lastHeartbeatTime"))) is not None:
        found["heartbeat_age_seconds"] = _age(now, beat)
    if (renew := renewed.get(name)) is not None:
        found["lease_age_seconds"] = _age(now, renew)
    if asked is not None:
        found["requested"] = dict(asked.get(name, {}))
    if handlers := status.get("runtimeHandlers"):
        found["runtime_handlers"] = sorted(each.get("name") or "runc" for each in handlers)
    return found


_CORES: Final = ("cpu", "requests.cpu", "limits.cpu")


def amounts(quantities: Mapping[str, Any]) -> dict[str, float]:
    """Cores, bytes and devices; what is no quantity is left out."""
    found: dict[str, float] = {}
    for name, quantity in quantities.items():
        try:
            found[name] = milli(quantity) / 1000 if name in _CORES else whole(quantity)
        except ValueError:
            continue
    return {name: int(value) if float(value).is_integer() else value for name, value in found.items()}


def pod_requests(pod: Document) -> dict[str, float]:
    """What a pod asks of its node, as the scheduler counts it (`workloads.gpus.asked_of`): cores, bytes, devices."""
    asked = asked_of(msgspec.convert(pod, Pod, strict=False))
    return {name: value / 1000 if name == "cpu" else value for name, value in asked.items()}


def cluster_addresses(nodes: Sequence[Document], kubernetes: Document | None, slices: Sequence[Document] = ()) -> Facts:
    """Addresses by which parts of the cluster reach each other. `kubernetes`: the Service of that name; `slices`: EndpointSlices."""
    ranges = {cidr for node in nodes for cidr in _ranges(node)}
    found: Facts = {"node_ips": sorted(a for node in nodes for a in _addresses(node))}
    if ranges:
        found["pod_cidrs"] = sorted(ranges)
    if kubernetes and (address := kubernetes.get("spec", {}).get("clusterIP")):
        found["kubernetes_service_ip"] = address
    if endpoints := sorted({each for one in slices for each in _endpoints(one)}):
        found["api_endpoints"] = endpoints
    return found


def _endpoints(slice_: Document) -> list[str]:
    """Where the API server answers, if the slice is of its Service."""
    meta = slice_["metadata"]
    if (meta.get("namespace"), (meta.get("labels") or {}).get("kubernetes.io/service-name")) != (
        "default",
        "kubernetes",
    ):
        return []
    addresses = [each for endpoint in slice_.get("endpoints") or () for each in endpoint.get("addresses") or ()]
    ports = [each["port"] for each in slice_.get("ports") or () if each.get("port")]
    return [f"[{address}]:{port}" if ":" in address else f"{address}:{port}" for address in addresses for port in ports]


def operator_facts(
    policies: Sequence[Document], daemonsets: Sequence[Document], pods: Sequence[Document]
) -> tuple[Facts, dict[str, dict[str, Any]]]:
    """(`gpu_operator`, what runs of the device stack on each node). `policies`: ClusterPolicies, none where the kind is not served."""
    if not policies:
        return {"installed": False}, _on_nodes(daemonsets, pods, "")
    policy = policies[0]
    namespace = _namespace_of_operands(daemonsets)
    own = [each for each in daemonsets if each["metadata"].get("namespace") == namespace] if namespace else []
    drivers = [each for each in own if "driver" in _name(each)]
    found: Facts = {
        "installed": True,
        "cluster_policy_state": (policy.get("status") or {}).get("state") or "not_found",
        "driver_enabled": bool((policy.get("spec", {}).get("driver") or {}).get("enabled", True)),
        "daemonsets": [_daemonset(each) for each in own],
        "second_plugin": any(_is_plugin(each) for each in daemonsets if each not in own),
    }
    if namespace:
        found["namespace"] = namespace
    if drivers:
        found["driver_pods_ready"] = all(_counts(each)[0] == _counts(each)[1] for each in drivers)
    version = next((v for each in (policy, *own) if (v := _version(each))), "")
    return found | ({"version": version} if version else {}), _on_nodes(daemonsets, pods, namespace)


def _on_nodes(daemonsets: Sequence[Document], pods: Sequence[Document], namespace: str) -> dict[str, dict[str, Any]]:
    """Node -> {plugin_pod, operands}: what runs there of each daemonset that belongs to the stack."""
    plugins = {_key(each) for each in daemonsets if _is_plugin(each)}
    operands = {
        _key(each): _OPERANDS.sub(r"\1", _name(each))
        for each in daemonsets
        if namespace and each["metadata"].get("namespace") == namespace
    }
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for pod in pods:
        owner = next((o for o in pod["metadata"].get("ownerReferences") or () if o.get("kind") == "DaemonSet"), None)
        node = pod.get("spec", {}).get("nodeName")
        if owner is None or not node:
            continue
        key = (pod["metadata"].get("namespace", ""), owner["name"])
        if key in plugins:
            found[node]["plugin_pod"] = pod_state(pod)
        if key in operands:
            found[node].setdefault("operands", {})[operands[key]] = pod_state(pod)
    return found


def _namespace_of_operands(daemonsets: Sequence[Document]) -> str:
    for each in daemonsets:
        labels = each["metadata"].get("labels") or {}
        owners = each["metadata"].get("ownerReferences") or ()
        if "gpu-operator" in str(labels.get("app.kubernetes.io/managed-by", "")) or any(
            owner.get("kind") == "ClusterPolicy" for owner in owners
        ):
            return str(each["metadata"].get("namespace", ""))
    return ""


def _daemonset(each: Document) -> Facts:
    desired, ready = _counts(each)
    pod = each.get("spec", {}).get("template", {}).get("spec", {})
    return {
        "name": _name(each),
        "desired": desired,
        "ready": ready,
        "tolerations": [_toleration(t) for t in pod.get("tolerations") or ()],
    }


def _counts(each: Document) -> tuple[int, int]:
    status = each.get("status") or {}
    return int(status.get("desiredNumberScheduled") or 0), int(status.get("numberReady") or 0)


def _toleration(each: Document) -> str:
    if not each.get("key"):
        return "*"
    value = f"={each['value']}" if each.get("value") else ""
    return f"{each['key']}{value}" + (f":{each['effect']}" if each.get("effect") else "")


def _is_plugin(daemonset: Document) -> bool:
    spec = daemonset.get("spec", {}).get("template", {}).get("spec", {})
    return any(_PLUGIN.search(str(c.get("image", ""))) for c in spec.get("containers") or ())


def _version(each: Document) -> str:
    return str((each["metadata"].get("labels") or {}).get("app.kubernetes.io/version", ""))


def pod_state(pod: Document) -> str:
    """`running` where all its containers are ready, else what holds it up."""
    status = pod.get("status") or {}
    for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        if waits := (container.get("state") or {}).get("waiting"):
            return str(waits.get("reason") or "waiting")
    ready: Document = next((c for c in status.get("conditions") or () if c.get("type") == "Ready"), {})
    return "running" if ready.get("status") == "True" else str(status.get("phase") or "Pending").lower()


def _asked(pods: Iterable[Document]) -> dict[str, dict[str, float]] | None:
    """Node -> sum of the requests of pods that have not ended there; None where one cannot be read: a sum without it is wrong."""
    found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for pod in pods:
        node = pod.get("spec", {}).get("nodeName")
        if not node or (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            continue
        try:
            asked = pod_requests(pod)
        except msgspec.ValidationError:
            return None
        for name, value in asked.items():
            found[node][name] += value
    return {node: {name: round(value, 3) for name, value in sums.items()} for node, sums in found.items()}


def _taint(each: Document) -> Facts:
    return {"key": each["key"], "value": each.get("value", ""), "effect": each["effect"]}


def _addresses(node: Document) -> list[str]:
    listed = (node.get("status") or {}).get("addresses") or ()
    return [each["address"] for each in listed if each.get("type") == "InternalIP"]


def _ranges(node: Document) -> Sequence[str]:
    spec = node.get("spec", {})
    return spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])


def _key(each: Document) -> tuple[str, str]:
    return each["metadata"].get("namespace", ""), _name(each)


def _name(each: Document) -> str:
    return str(each["metadata"]["name"])


def _seconds(text: Any) -> float | None:
    try:
        return seconds_of(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _age(now: float, then: float) -> int:
    return max(0, round(now - then))
