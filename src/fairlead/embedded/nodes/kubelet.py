"""The embedded nodes' kubelet: nodes appear, pods bound to them run, and what becomes of them is written to their status."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import msgspec

import fairlead
from fairlead.embedded.nodes import logs
from fairlead.embedded.nodes.devices import NoDevice, choose, told_of, visible_devices
from fairlead.embedded.nodes.forwards import PortForward
from fairlead.embedded.nodes.machine import NodeSpec
from fairlead.embedded.nodes.runtime import CannotStart, Ended, Runtime
from fairlead.embedded.store.status import bad_request
from fairlead.embedded.store.store import VERSION
from fairlead.kube.cache import Cache, Key
from fairlead.kube.client import Client, LogOptions
from fairlead.kube.errors import AlreadyExists
from fairlead.kube.transport import Duplex
from fairlead.objects import builtin, fields, kinds
from fairlead.objects import organisation as org
from fairlead.objects.json import JsonObject
from fairlead.objects.meta import Condition, ObjectMeta, condition_of
from fairlead.objects.pod import Pod, has_ended
from fairlead.objects.times import text_of
from fairlead.runtime.clock import Clock
from fairlead.runtime.errors import Conflict, FairleadError, NotFound
from fairlead.runtime.logs import logger
from fairlead.runtime.reconcile import Reconciler

DEFAULT_GRACE = 30.0


class Kubelet:
    """All embedded nodes of this process. Runs until cancelled; containers go on running."""

    def __init__(
        self, client: Client, clock: Clock, rng: Random, nodes: Sequence[NodeSpec], runtimes: dict[str, Runtime]
    ) -> None:
        self._client = client
        self._clock = clock
        self._nodes = {n.name: n for n in nodes}
        self._runtimes = runtimes
        self.pods: Cache[Pod] = Cache(client, kinds.POD)
        self._waiting: dict[str, asyncio.Task[None]] = {}
        self._stopping: dict[str, asyncio.Task[None]] = {}
        self._devices: dict[str, tuple[int, ...]] = {}
        self._over: set[str] = set()
        """Pods whose end is written: a cache that lags shows them running still."""
        self._gone: dict[Key, dict[str, Runtime]] = {}
        """Where pods of that name ran that are no more. The one worker of the name ends them, so never while one begins."""
        self._group: asyncio.TaskGroup | None = None
        self._sync: Reconciler[Key] = Reconciler("kubelet", self._reconcile, clock=clock, rng=rng, workers=8)
        self._log = logger("kubelet")
        self.pods.on_change(self._changed)

    async def run(self) -> None:
        """Register the nodes, then bring every pod bound to them to what it should be."""
        for node in self._nodes.values():
            await self._register(node)
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self.pods.run(), name="kubelet.cache.pods")
            await self.pods.synced.wait()
            self._drop_strays()
            self._sync.mark_all(key for key, pod in self.pods.items().items() if self._is_mine(pod))
            group.create_task(self._sync.run(), name="kubelet.sync")

    # what the API asks of the node

    def logs(self, pod: dict[str, Any], options: LogOptions) -> AsyncIterator[bytes]:
        """The output of a pod, or of the one before it of the same name and owner.

        Raises: StatusError where there was none before.
        """
        if not options.previous:
            return self._runtime(_typed(pod)).logs(pod["metadata"]["uid"], options)
        earlier = self._earlier_log(pod)
        if earlier is None:
            what = f'previous terminated container "{options.container}" in pod "{pod["metadata"]["name"]}" not found'
            raise bad_request(what)
        return logs.read(earlier, options, lambda: True)

    def has_earlier_log(self, namespace: str, name: str) -> bool:
        """Whether a pod of that name is gone whose log was kept."""
        return self._earlier_log({"metadata": {"namespace": namespace, "name": name}}) is not None

    def _earlier_log(self, pod: dict[str, Any]) -> Path | None:
        meta = pod["metadata"]
        owner = next((o["uid"] for o in meta.get("ownerReferences") or ()), "")
        found = (r.earlier_log(meta["namespace"], meta["name"], owner) for r in self._runtimes.values())
        return next(filter(None, found), None)

    async def exec(self, pod: dict[str, Any], container: str, command: list[str], query: dict[str, str]) -> Duplex:
        """A command beside a pod's container."""
        try:
            return await self._runtime(_typed(pod)).exec(_typed(pod), command, query)
        except CannotStart as error:
            raise bad_request(str(error)) from error

    async def port_forward(self, pod: dict[str, Any], port: int) -> Duplex:
        """One connection to a port of a pod's process, which shares the network of this machine."""
        if self._nodes[pod["spec"]["nodeName"]].runtime == "simulated":
            raise bad_request("This node is simulated: nothing runs there that could listen.")
        try:
            return await PortForward.start(port)
        except CannotStart as error:
            raise bad_request(str(error)) from error

    # pods

    def _changed(self, key: Key, before: Pod | None, after: Pod | None) -> None:
        if (
            before is not None
            and self._is_mine(before)
            and (after is None or after.metadata.uid != before.metadata.uid)
        ):
            self._over.discard(before.metadata.uid)
            self._gone.setdefault(key, {})[before.metadata.uid] = self._runtime(before)
        if self._is_mine(after) or key in self._gone:
            self._sync.mark(key)

    def _drop_strays(self) -> None:
        """Ends containers that outlived their pods while this process was away."""
        known = {p.metadata.uid for p in self.pods}
        for runtime in self._runtimes.values():
            for uid in runtime.known():
                if uid not in known:
                    self._once(self._stopping, uid, partial(self._drop, runtime, uid))

    async def _drop(self, runtime: Runtime, uid: str) -> None:
        """Nobody waits for a container without a pod: no grace."""
        await runtime.stop(uid, 0.0)
        if (waiting := self._waiting.pop(uid, None)) is not None:
            waiting.cancel()
        self._devices.pop(uid, None)
        await runtime.remove(uid)

    def _is_mine(self, pod: Pod | None) -> bool:
        return pod is not None and pod.spec.node_name in self._nodes

    def _runtime(self, pod: Pod) -> Runtime:
        return self._runtimes[self._nodes[pod.spec.node_name].runtime]

    async def _reconcile(self, key: Key) -> float | None:
        gone = self._gone.get(key, {})
        while gone:
            uid = next(iter(gone))
            await self._drop(gone[uid], uid)
            del gone[uid]
        self._gone.pop(key, None)
        pod = self.pods.get(key.name, key.namespace)
        if pod is None or not self._is_mine(pod):
            return None
        uid = pod.metadata.uid
        if pod.metadata.deletion_timestamp:
            self._once(self._stopping, uid, lambda: self._end(pod))
        elif not has_ended(pod):
            await self._begin(pod)
        return None

    async def _begin(self, pod: Pod) -> None:
        uid, runtime = pod.metadata.uid, self._runtime(pod)
        if uid in self._waiting or uid in self._over:
            return
        if pod.status.phase == "Running" and not await runtime.recover(uid) and runtime.name != "simulated":
            await runtime.stop(uid, 0.0)
            lost = Ended(exit_code=137, message="Its process was lost while Fairlead was stopped.")
            self._once(self._waiting, uid, partial(self._ended, pod, lost))
            return
        try:
            devices = await self._assign(pod)
            await runtime.start(pod, self._environment(pod, devices))
        except (CannotStart, NoDevice) as error:
            refused = Ended(exit_code=128, message=str(error))
            self._once(self._waiting, uid, partial(self._ended, pod, refused))
            return
        now = text_of(self._clock.now())
        if pod.status.phase != "Running":
            await self._status(pod, _running(pod, now))
        if condition_of(pod.status.conditions, "Ready") is None:
            await self._ready(pod, now)
        self._once(self._waiting, uid, lambda: self._watch(pod))

    async def _assign(self, pod: Pod) -> tuple[int, ...]:
        """The pod's devices, chosen once and written on it."""
        uid, node = pod.metadata.uid, self._nodes[pod.spec.node_name]
        noted = pod.metadata.annotations.get(fields.DEVICES)
        if noted is not None:
            return tuple(int(i) for i in noted.split(",") if i.isdigit())
        if uid not in self._devices:
            self._devices[uid] = told_of(pod, node.devices) or choose(pod, len(node.devices), self._holders(pod))
        devices = self._devices[uid]
        notes: JsonObject = {fields.DEVICES: ",".join(map(str, devices)), fields.ENFORCEMENT: "none"}
        if (
            devices and fields.GPU_GROUP in pod.metadata.labels
        ):  # a reservation pod: what the node agent tells on a cluster
            notes[fields.RESERVED_DEVICE] = {d.index: d.uuid for d in node.devices}[devices[0]]
        if devices:
            patch: JsonObject = {"metadata": {"annotations": notes}}
            await self._client.patch(kinds.POD, pod.metadata.name, patch, pod.metadata.namespace, uid=uid)
        return devices

    def _holders(self, pod: Pod) -> list[Pod]:
        """Other pods of the node that hold devices, with what was just chosen for them."""
        found = []
        for other in self.pods:
            same = other.spec.node_name == pod.spec.node_name and other.metadata.uid != pod.metadata.uid
            if same and not has_ended(other):
                chosen = self._devices.get(other.metadata.uid)
                if chosen is not None:
                    notes = {**other.metadata.annotations, fields.DEVICES: ",".join(map(str, chosen))}
                    meta = msgspec.structs.replace(other.metadata, annotations=notes)
                    other = msgspec.structs.replace(other, metadata=meta)
                found.append(other)
        return found

    def _environment(self, pod: Pod, devices: tuple[int, ...]) -> dict[str, str]:
        node, meta = self._nodes[pod.spec.node_name], pod.metadata
        uuids = {d.index: d.uuid for d in node.devices}
        said = {e.name: e.value for e in pod.spec.containers[0].env}
        if said.get("MASTER_ADDR"):
            said["MASTER_ADDR"] = "127.0.0.1"
        extra = {"podName": meta.name, "podUUID": meta.uid, "RUNAI_NUM_OF_GPUS": str(len(devices))}
        return {**extra, **said, **visible_devices(devices, uuids, simulated=node.simulated)}

    async def _watch(self, pod: Pod) -> None:
        ended = await self._runtime(pod).wait(pod.metadata.uid)
        current = self.pods.get(pod.metadata.name, pod.metadata.namespace)
        same = current is not None and current.metadata.uid == pod.metadata.uid
        if same and current is not None and not current.metadata.deletion_timestamp:
            await self._ended(current, ended)

    async def _ended(self, pod: Pod, ended: Ended) -> None:
        self._devices.pop(pod.metadata.uid, None)
        await self._status(pod, _finished(pod, ended, text_of(self._clock.now())))
        self._over.add(pod.metadata.uid)

    async def _end(self, pod: Pod) -> None:
        """Stop what runs, then let the object go."""
        meta, runtime = pod.metadata, self._runtime(pod)
        grace = meta.deletion_grace_period_seconds
        await runtime.stop(meta.uid, DEFAULT_GRACE if grace is None else float(grace))
        waiting = self._waiting.pop(meta.uid, None)
        if waiting is not None:
            waiting.cancel()
        self._devices.pop(meta.uid, None)
        try:
            await self._client.delete(kinds.POD, meta.name, meta.namespace, uid=meta.uid, grace_seconds=0)
        except (NotFound, Conflict):
            self._log.debug("pod.gone", pod=str(meta.name))
        await runtime.remove(meta.uid)

    async def _status(self, pod: Pod, status: JsonObject) -> None:
        """Raises: Conflict where it was refused: then the pod is looked at again."""
        meta = pod.metadata
        try:
            await self._client.patch_status(kinds.POD, meta.name, status, meta.namespace, uid=meta.uid)
        except NotFound:
            return

    async def _ready(self, pod: Pod, now: str) -> None:
        """By a patch of that one condition: others may be written at the same time. Raises: Conflict."""
        meta, ready = pod.metadata, Condition(type="Ready", status="True", last_transition_time=now)
        try:
            await self._client.patch_conditions(kinds.POD, meta.name, [ready], meta.namespace, uid=meta.uid)
        except NotFound:
            return

    def _once(self, tasks: dict[str, asyncio.Task[None]], uid: str, work: Callable[[], Any]) -> None:
        if uid in tasks or self._group is None:
            return
        guarded = self._guard(work)
        try:
            task = self._group.create_task(guarded, name=f"kubelet.{uid}")
        except RuntimeError:  # the node ends: nothing is begun any more
            guarded.close()
            return
        tasks[uid] = task
        task.add_done_callback(lambda done: tasks.pop(uid, None) if tasks.get(uid) is done else None)

    async def _guard(self, work: Callable[[], Any]) -> None:
        """A pod whose upkeep fails is reported and looked at again; the other pods go on."""
        while True:
            try:
                await work()
                return
            except FairleadError as error:
                self._log.info("pod.again", message=str(error))
                await self._clock.sleep(1.0)
            except Exception:  # noqa: BLE001  # the edge: one pod's failure must not end the node
                self._log.exception("pod.failed")
                await self._clock.sleep(1.0)

    # nodes

    async def _register(self, node: NodeSpec) -> None:
        """The Node object and its devices' report, as this process knows them."""
        status = _node_status(node, text_of(self._clock.now()))
        labels = _node_labels(node)
        try:
            await self._client.create(kinds.NODE, builtin.Node(metadata=ObjectMeta(name=node.name, labels=labels)))
        except AlreadyExists:
            await self._client.patch(kinds.NODE, node.name, {"metadata": {"labels": {**labels}}})
        await self._client.patch_status(kinds.NODE, node.name, status)
        report = _report(node, text_of(self._clock.now()))
        try:
            await self._client.create(
                kinds.NODE_REPORT, org.NodeReport(metadata=ObjectMeta(name=node.name), status=report)
            )
        except AlreadyExists:
            patch: JsonObject = {"status": msgspec.to_builtins(report)}
            await self._client.patch(kinds.NODE_REPORT, node.name, patch)


def _typed(pod: dict[str, Any]) -> Pod:
    return msgspec.convert(pod, Pod)


def _running(pod: Pod, now: str) -> JsonObject:
    name = pod.spec.containers[0].name
    return {
        "phase": "Running",
        "startTime": now,
        "containerStatuses": [{"name": name, "ready": True, "started": True, "state": {"running": {"startedAt": now}}}],
    }


def _finished(pod: Pod, ended: Ended, now: str) -> JsonObject:
    phase = "Succeeded" if ended.exit_code == 0 else "Failed"
    terminated: JsonObject = {
        "exitCode": ended.exit_code,
        "reason": ended.reason or ("Completed" if ended.exit_code == 0 else "Error"),
        "startedAt": pod.status.start_time or now,
        "finishedAt": now,
    }
    container: JsonObject = {"name": pod.spec.containers[0].name, "ready": False, "state": {"terminated": terminated}}
    return {"phase": phase, "message": ended.message or None, "containerStatuses": [container]}


def _node_labels(node: NodeSpec) -> dict[str, str]:
    labels = {"kubernetes.io/hostname": node.name, fields.SIMULATED: "true" if node.simulated else "false"}
    if node.devices:
        labels[fields.GPU_PRODUCT_LABEL] = node.devices[0].model
        labels[fields.GPU_MEMORY_LABEL] = str(node.devices[0].memory_mib)
        labels[fields.GPU_COUNT_LABEL] = str(len(node.devices))
    return labels


def _node_status(node: NodeSpec, now: str) -> JsonObject:
    amounts: JsonObject = {
        "cpu": f"{node.cpu_milli}m",
        "memory": str(node.memory_bytes),
        "pods": str(node.pods),
        fields.GPU_RESOURCE: str(len(node.devices)),
    }
    ready: JsonObject = {
        "type": "Ready",
        "status": "True",
        "reason": "KubeletReady",
        "lastTransitionTime": now,
        "lastHeartbeatTime": now,
    }
    info: JsonObject = {
        "kubeletVersion": VERSION,
        "containerRuntimeVersion": f"{node.runtime}://{fairlead.__version__}",
    }
    return {"capacity": amounts, "allocatable": {**amounts}, "conditions": [ready], "nodeInfo": info}


def _report(node: NodeSpec, now: str) -> org.NodeReportStatus:
    return org.NodeReportStatus(
        observed_at=now,
        simulated=node.simulated,
        driver_version=node.driver,
        enforcement="none",
        devices=tuple(
            org.DeviceReport(uuid=d.uuid, index=d.index, model=d.model, memory_mib=d.memory_mib) for d in node.devices
        ),
    )
