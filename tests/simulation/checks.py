"""What must hold of a cluster at every moment, and once nothing disturbs it any more; read from the store alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from tests.simulation.people import People
from tests.simulation.world import RESERVATIONS

from fairlead.embedded.nodes.machine import SIMULATED_MIB
from fairlead.kube.client import Client
from fairlead.objects import fields, kinds
from fairlead.objects.pod import Pod
from fairlead.objects.quantity import milli, whole
from fairlead.objects.workload import Workload
from fairlead.workloads.evictions import eviction_of
from fairlead.workloads.gpus import gpu_of, groups_of
from fairlead.workloads.pods import least_of, ranks_of
from fairlead.workloads.status import exit_code_of


def at_any_time(pods: list[Pod], nodes: dict[str, Any]) -> list[str]:
    """No device over 1.0, no node over any resource, no container refused by its node, nobody safe evicted."""
    found: list[str] = []
    for name, there in _by_node(pods).items():
        if name in nodes:
            found += _over(name, there, nodes[name])
    for pod in pods:
        who = f"{pod.metadata.namespace}/{pod.metadata.name}"
        if exit_code_of(pod) == 128:
            found.append(f"{who} was refused by {pod.spec.node_name}: {pod.status.message}")
        target = eviction_of(pod)
        safe = pod.metadata.labels.get(fields.PREEMPTIBILITY) == "non-preemptible"
        if target is not None and safe and "too few of its pods" not in target.message:
            found.append(f"{who} is not preemptible and was evicted: {target.message}")
    return found


async def look(client: Client) -> list[str]:
    """`at_any_time`, of the store as it is."""
    nodes = {n.metadata.name: n for n in (await client.list(kinds.NODE)).items}
    return at_any_time(list((await client.list(kinds.POD)).items), nodes)


async def settled(people: People) -> list[str]:
    """Nothing lost, nothing left over, nothing waiting that fits."""
    client = people.client
    pods = list((await client.list(kinds.POD)).items)
    works: dict[str, Workload] = {}
    for kind in (kinds.TRAINING, kinds.WORKSPACE, kinds.DISTRIBUTED_TRAINING):
        works |= {w.metadata.uid: w for w in (await client.list(kind)).items}
    found = [f"{where} was asked for and is lost" for uid, where in people.asked.items() if uid not in works]
    of: dict[str, list[Pod]] = defaultdict(list)
    for pod in pods:
        if pod.metadata.namespace != RESERVATIONS:
            of[pod.metadata.owner_references[0].uid].append(pod)
    found += [f"pods of {uid} outlive it: {[p.metadata.name for p in of[uid]]}" for uid in of if uid not in works]
    for uid, work in works.items():
        found += _one(people, work, of[uid])
    found += await _strays(people, pods)
    found += _unreserved(pods)
    found += await _requests(client, pods)
    return found + await _idle(client, pods, works)


def _unreserved(pods: list[Pod]) -> list[str]:
    """Where reservation pods hold shared devices: one a group, none for nobody, and each pod told the device of its group."""
    live = [p for p in pods if p.spec.node_name and p.status.phase not in ("Succeeded", "Failed")]
    held = [p for p in live if p.metadata.namespace == RESERVATIONS]
    device = {p.metadata.labels[fields.GPU_GROUP]: p.metadata.annotations.get(fields.RESERVED_DEVICE) for p in held}
    found = ["a group has two reservation pods"] if len(device) < len(held) else []
    used: set[str] = set()
    for pod in live:
        told = pod.metadata.annotations.get(fields.VISIBLE_DEVICES)
        groups = groups_of(pod) if told and pod.metadata.namespace != RESERVATIONS else ()
        used |= set(groups)
        if groups and [device.get(g) for g in groups] != (told or "").split(","):
            found.append(f"{pod.metadata.name} was told {told}, and its groups have {[device.get(g) for g in groups]}")
    return found + [f"{p.metadata.name} reserves for nobody" for g in device.keys() - used for p in held if g in str(p)]


async def _requests(client: Client, pods: list[Pod]) -> list[str]:
    """Requests to the binder whose pod is gone, or which are not worked off."""
    bound = {p.metadata.uid for p in pods if p.spec.node_name}
    requests = (await client.list(kinds.BIND_REQUEST)).items
    return [
        f"the request of {r.spec.pod_name} is left over ({r.status.phase or 'new'}: {r.status.reason})"
        for r in requests
        if r.metadata.owner_references[0].uid not in bound
    ]


def _one(people: People, work: Workload, pods: list[Pod]) -> list[str]:
    who, phase = f"{work.metadata.namespace}/{work.metadata.name}", work.status.phase
    active = [p for p in pods if p.status.phase not in ("Succeeded", "Failed")]
    if phase == "Completed":
        people.completed.add(work.metadata.uid)
    if phase in ("Completed", "Failed", "Stopped"):
        return [f"{who} is {phase} and has pods"] if active else []
    if work.metadata.uid in people.completed:
        return [f"{who} had completed and is {phase}"]
    if work.spec.suspended:
        return [f"{who} is suspended and {phase}"]
    mine = [p for p in pods if not p.metadata.deletion_timestamp]
    placed = [p for p in mine if p.spec.node_name]
    found = []
    if len(mine) < ranks_of(work):
        found.append(f"{who} is {phase} and has {len(mine)} of {ranks_of(work)} pods")
    if placed and len(placed) < least_of(work):
        found.append(f"{who} has {len(placed)} of {least_of(work)} pods placed")
    ready = len(placed) >= least_of(work) and all(p.status.phase != "Pending" for p in placed)
    if ready != (phase == "Running"):
        found.append(f"{who} is {phase} with {len(placed)} pods placed")
    told = [(p.metadata.name, p.status.phase, p.spec.node_name, _said(p)) for p in pods]
    return [f"{text}: {work.status.phase_message}; {told}" for text in found]


def _said(pod: Pod) -> str:
    return " ".join(c.message for c in pod.status.conditions if c.status == "False" or c.type == "DisruptionTarget")


async def _strays(people: People, pods: list[Pod]) -> list[str]:
    known = {p.metadata.uid for p in pods}
    running = {uid for runtime in people.cluster.runtimes.values() for uid in runtime.known()}
    return [f"a container runs without a pod: {uid}" for uid in sorted(running - known)]


async def _idle(client: Client, pods: list[Pod], works: dict[str, Workload]) -> list[str]:
    """Single preemptible pods with whole GPUs that wait although a node has room, and their queues have no limit."""
    nodes = {n.metadata.name: n for n in (await client.list(kinds.NODE)).items}
    limited = {q.metadata.name for q in (await client.list(kinds.QUEUE)).items if _has_limit(q)}
    by_node = _by_node(pods)
    held = any(fields.HOLD in o.metadata.annotations for o in (*pods, *(await client.list(kinds.POD_GROUP)).items))
    found: list[str] = []
    for pod in pods:
        labels = pod.metadata.labels
        waits = not pod.spec.node_name and not pod.metadata.annotations.get(fields.POD_GROUP)
        if held or not waits or labels.get(fields.PREEMPTIBILITY) != "preemptible" or labels[fields.QUEUE] in limited:
            continue
        for name, node in nodes.items():
            if gpu_of(pod).portion_milli in (0, 1000) and not _over(name, [*by_node[name], pod], node):
                found.append(f"{pod.metadata.namespace}/{pod.metadata.name} waits, and {name} has room for it")
                break
    return found


def _has_limit(queue: Any) -> bool:
    return queue.spec.resources is not None and queue.spec.resources.gpu.limit >= 0


def _by_node(pods: list[Pod]) -> dict[str, list[Pod]]:
    found: dict[str, list[Pod]] = defaultdict(list)
    for pod in pods:
        if pod.spec.node_name and pod.status.phase not in ("Succeeded", "Failed"):
            found[pod.spec.node_name].append(pod)
    return found


def _over(name: str, pods: list[Pod], node: Any) -> list[str]:
    """What the pods take of a node beyond what it has."""
    allocatable = node.status.allocatable
    cpu = memory = wholes = 0
    groups: Counter[str] = Counter()
    devices: Counter[str] = Counter()
    for pod in pods:
        if pod.metadata.namespace == RESERVATIONS:
            continue  # those who share the device are counted
        asked, gpu = pod.spec.containers[0].resources.requests, gpu_of(pod)
        cpu, memory = cpu + milli(asked.get("cpu", 0)), memory + whole(asked.get("memory", 0))
        part = gpu.portion_milli or -(-gpu.memory_mib * 1000 // SIMULATED_MIB)
        shares = pod.metadata.annotations.get(fields.GPU_GROUP, "")
        wholes += 0 if shares else gpu.devices
        groups.update(dict.fromkeys(filter(None, shares.split(",")), part))
        devices.update(dict.fromkeys(filter(None, pod.metadata.annotations.get(fields.DEVICES, "").split(",")), part))
    used = {"cpu": (cpu, milli(allocatable["cpu"])), "memory": (memory, whole(allocatable["memory"]))}
    used["GPUs"] = (wholes + len(groups), whole(allocatable[fields.GPU_RESOURCE]))
    used |= {f"group {g}": (amount, 1000 + 1) for g, amount in groups.items()}
    used |= {f"device {d}": (amount, 1000 + 1) for d, amount in devices.items()}
    return [f"{name}: {amount} of {most} {what}" for what, (amount, most) in used.items() if amount > most]
