"""The real exporters with a state that is known: a scheduler and controllers at work on an embedded cluster, and a node's devices."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random

from tests.cluster.build import Bench

from fairlead.cli.roles import process
from fairlead.cluster.admission import main as admission
from fairlead.cluster.agent import main as agent
from fairlead.cluster.controllers.main import Controllers, ControllersOptions
from fairlead.cluster.node.daemon import MpsOptions
from fairlead.cluster.node.machine import Machine
from fairlead.cluster.node.mps import Mps
from fairlead.cluster.node.series import Devices
from fairlead.cluster.scheduler import shadow
from fairlead.cluster.scheduler.main import Scheduler, SchedulerOptions
from fairlead.objects import fields, kinds
from fairlead.objects.builtin import Namespace
from fairlead.objects.kai import Queue, QueueResource, QueueResources, QueueSpec
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.organisation import DeviceReport, NodeReportStatus
from fairlead.objects.pod import Container, Pod, PodSpec, ResourceRequirements
from fairlead.objects.times import text_of
from fairlead.runtime.clock import SystemClock
from fairlead.runtime.health import READY, Health
from fairlead.runtime.instruments import serving

IDLE_HOURS = 3
RAN_SECONDS = 600
SERVED = (admission, agent, shadow)
"""Modules whose metrics are served from the moment they are there."""


@contextmanager
def exporters(folder: Path) -> Iterator[int]:
    """The port that serves all of them, once the scheduler has decided on everything there is. Raises: TimeoutError."""
    ready, port, loop = threading.Event(), [0], asyncio.new_event_loop()
    task: list[asyncio.Task[None]] = []

    async def main() -> None:
        task.append(asyncio.current_task())  # type: ignore[arg-type]  # there is one
        await _live(folder, port, ready)

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            try:
                runner.run(main())
            except asyncio.CancelledError:
                return

    thread = threading.Thread(target=run, name="exporters")
    thread.start()
    try:
        if not ready.wait(60):
            raise TimeoutError("the exporters did not come up within 60 s")
        yield port[0]
    finally:
        if thread.is_alive():
            loop.call_soon_threadsafe(task[0].cancel)
        thread.join(30)


async def _live(folder: Path, port: list[int], ready: threading.Event) -> None:
    bench = Bench(clock=SystemClock())  # type: ignore[arg-type]  # real time: a real Prometheus looks
    scheduler = Scheduler(bench.client, bench.clock, SchedulerOptions(longest=0.5))
    controllers = Controllers(bench.client, bench.clock, Random(1), ControllersOptions(scheduler_names=()))
    devices = Devices("n1", bench.clock.now() - IDLE_HOURS * 3600)
    devices.note(
        REPORT, bench.clock.now(), Machine(total_bytes=8 << 30, available_bytes=6 << 30, idle_ticks=0, ticks=0)
    )
    devices.note(
        REPORT, bench.clock.now(), Machine(total_bytes=8 << 30, available_bytes=6 << 30, idle_ticks=30, ticks=40)
    )
    Mps(MpsOptions(directory=folder), bench.clock, Random(1), lambda: None).keep(())
    process.tell_version("scheduler")
    process.LEADING.labels("scheduler").set(1)
    health = Health("127.0.0.1", 0, lambda: READY)
    with (
        serving(scheduler.measured.samples, *scheduler.measured.names),
        serving(devices.samples, *devices.names),
    ):
        async with asyncio.TaskGroup() as group:
            group.create_task(scheduler.run())
            group.create_task(controllers.run())
            group.create_task(health.run())
            await _state(bench)
            await _until(scheduler, bench)
            port[0] = health.port
            ready.set()


async def _until(scheduler: Scheduler, bench: Bench) -> None:
    """What can be placed is, runs, and was decided on since."""
    placed = ("shared", "sized", "chat-0", "chat-1")
    while True:
        pods = {p.metadata.name: p for p in (await bench.client.list(kinds.POD, "runai-vision")).items}
        if all(pods[name].spec.node_name for name in placed):
            break
        await asyncio.sleep(0.05)
    for name in placed:
        started = {"phase": "Running", "startTime": text_of(bench.clock.now() - RAN_SECONDS)}
        await bench.client.patch_status(kinds.POD, name, started, "runai-vision")
    await bench.client.patch(kinds.NODE, "n2", {"spec": {"unschedulable": True}})
    seen = scheduler.cycles
    while scheduler.cycles < seen + 4:  # noqa: ASYNC110  # nobody is told of cycles
        await asyncio.sleep(0.05)


async def _state(bench: Bench) -> None:
    """Two nodes, a department with two projects, work that runs and work that waits."""
    for name, gpus in (("n1", 4), ("n2", 2)):
        await bench.a_node(name, gpus)
        await bench.client.patch(kinds.NODE, name, {"metadata": {"labels": {fields.GPU_MEMORY_LABEL: "80000"}}})
    await bench.client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name="runai-vision")))
    await _queue(bench, "department-research", 6, **{fields.DEPARTMENT: "research"})
    for project, gpus in (("vision", 4), ("speech", 2)):
        labels = {fields.PROJECT: project, fields.DEPARTMENT: "research"}
        await _queue(bench, project, gpus, parent="department-research", **labels)
    chat = {fields.WORKLOAD: "chat", fields.WORKLOAD_KIND: "Inference", fields.WORKLOAD_ID: "7a"}
    for number in range(2):
        await _pod(bench, f"chat-{number}", {fields.GPU_RESOURCE: "1", "cpu": "2", "memory": "4Gi"}, **chat)
    await _pod(bench, "shared", {}, notes={fields.GPU_FRACTION: "0.5"})
    await _pod(bench, "sized", {}, notes={fields.GPU_MEMORY: "20000"})
    await _pod(bench, "large", {fields.GPU_RESOURCE: "9"})
    await _pod(bench, "owed", {fields.GPU_RESOURCE: "1"}, selector={"disk": "fast"})


async def _queue(bench: Bench, name: str, gpus: int, parent: str = "", **labels: str) -> None:
    every = QueueResource(quota=-1, limit=-1, over_quota_weight=1)
    gpu = QueueResource(quota=gpus, limit=-1, over_quota_weight=1)
    spec = QueueSpec(parent_queue=parent, resources=QueueResources(gpu=gpu, cpu=every, memory=every))
    await bench.client.create(kinds.QUEUE, Queue(metadata=ObjectMeta(name=name, labels=labels), spec=spec))


async def _pod(
    bench: Bench,
    name: str,
    asked: dict[str, str],
    *,
    notes: dict[str, str] | None = None,
    selector: dict[str, str] | None = None,
    **labels: str,
) -> None:
    resources = ResourceRequirements(limits=dict(asked), requests=dict(asked))
    container = Container(name="c", image="x", resources=resources)
    spec = PodSpec(containers=(container,), scheduler_name="fairlead", node_selector=selector or {})
    meta = ObjectMeta(name=name, labels={fields.QUEUE: "vision", **labels}, annotations=notes or {})
    await bench.client.create(kinds.POD, Pod(metadata=meta, spec=spec), "runai-vision")


REPORT = NodeReportStatus(
    driver_version="550.54",
    findings=("The library is old.",),
    devices=(
        DeviceReport(
            uuid="GPU-0",
            index=0,
            model="H100",
            memory_mib=80_000,
            memory_used_mib=20_000,
            utilisation_percent=60,
            pods=("runai-vision/chat-0",),
        ),
        DeviceReport(
            uuid="GPU-1",
            index=1,
            model="H100",
            memory_mib=80_000,
            utilisation_percent=20,
            pods=("runai-vision/chat-1",),
        ),
        DeviceReport(uuid="GPU-2", index=2, model="H100", memory_mib=80_000, gpu_groups=("g",)),
        DeviceReport(uuid="GPU-3", index=3, model="H100", memory_mib=80_000, mig=True, healthy=False),
    ),
)


@contextmanager
def stand_in_for_cadvisor() -> Iterator[int]:
    """The port of what serves two pods' containers as a kubelet does; half a core of each works."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Containers)
    thread = threading.Thread(target=server.serve_forever, name="stand-in for cAdvisor")
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join(30)
        server.server_close()


class _Containers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        lines = []
        for pod in ("chat-0", "chat-1"):
            labels = f'{{container="c",namespace="runai-vision",pod="{pod}"}}'
            whole = f'{{container="",namespace="runai-vision",pod="{pod}"}}'  # of the pod: counted twice by who forgets
            lines += [f"container_memory_working_set_bytes{labels} {1 << 30}", f"container_memory_swap{labels} 4096"]
            lines += [f"container_memory_working_set_bytes{whole} {1 << 30}"]
            lines += [f"container_cpu_usage_seconds_total{labels} {time.monotonic() / 2}"]
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write("\n".join([*lines, ""]).encode())

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""
