"""From create to last bind on a real API server: 500 nodes of 8 GPUs, 4 departments, 20 projects; kube-scheduler and ours in one run.

Each run has an API server and an etcd of its own, on the machine of the scheduler and of whoever creates the pods. Times and
writes are those of the API server's audit log: the first create of a pod received, the last binding answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import subprocess
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from random import Random

from tests.kubernetes.processes import processes
from tests.parts.apiserver import ApiServer, api_server, free_ports, kube_scheduler_command, kubeconfig, stop
from tests.parts.build import Part, Unavailable, binary

from bench import driver
from bench.audit import Measured, measured
from bench.rows import Row
from fairlead.kube.client import Client, Limits
from fairlead.kube.credentials import Credentials
from fairlead.kube.http import HttpTransport
from fairlead.runtime.clock import SystemClock

ROUNDS = 3
CALLS = 5000
"""How many calls a second kube-scheduler may make: it is not held back by its own limit."""
NAMES = (
    "single-pods",
    "kube-scheduler",
    "to-kube-scheduler",
    "writes-single",
    "gangs",
    "gangs-to-kube-scheduler",
    "writes-gang",
)

Work = Callable[[Client], Awaitable[None]]
Scheduler = Callable[[ApiServer], contextlib.AbstractContextManager[Work]]
"""Runs one; gives what must be done before work comes."""


def rows(only: str) -> Iterator[Row]:
    """The rows whose name holds the word; nothing is started where there is none."""
    wanted = {f"end-to-end.{name}" for name in NAMES if only in f"end-to-end.{name}"}
    if not wanted:
        return
    try:
        yield from (row for row in _measured() if row.name in wanted)
    except Unavailable as reason:
        yield from (Row(name, (), "", f"not measured: {reason}") for name in sorted(wanted))


def _measured() -> list[Row]:
    """kube-scheduler, which knows no gangs, and ours with single pods and with gangs take turns: a machine is not always equally fast."""
    turns = [
        (
            _run(_kube_scheduler, partial(driver.single_pods, scheduler="default-scheduler")),
            _run(_ours, partial(driver.single_pods, scheduler="fairlead")),
            _run(_ours, driver.gangs),
        )
        for _ in range(ROUNDS)
    ]
    theirs, singles, gangs = zip(*turns, strict=True)
    work = f"{driver.PODS} one-GPU pods, {driver.PROJECTS} projects"
    return [
        _rate("kube-scheduler", theirs, f"{work}; {_most_writes(theirs)[0]:.2f} writes a pod"),
        _rate("single-pods", singles, f"{work}, fair share on"),
        _to_theirs("to-kube-scheduler", singles, theirs),
        Row("end-to-end.writes-single", (round(_most_writes(singles)[0], 3),), "", _most_writes(singles)[1]),
        _rate("gangs", gangs, f"{driver.PODS // driver.GANG} gangs of {driver.GANG}"),
        _to_theirs("gangs-to-kube-scheduler", gangs, theirs),
        Row("end-to-end.writes-gang", (round(_most_writes(gangs)[0], 3),), "", _most_writes(gangs)[1]),
    ]


def _to_theirs(name: str, ours: Sequence[Measured], theirs: Sequence[Measured]) -> Row:
    ratio = statistics.median(mine.rate / other.rate for mine, other in zip(ours, theirs, strict=True))
    return Row(f"end-to-end.{name}", (round(ratio, 2),), "x", f"median of {ROUNDS} turns; kube-scheduler: single pods")


def _rate(name: str, runs: Sequence[Measured], note: str) -> Row:
    rates = [run.rate for run in runs]
    shown = ", ".join(f"{rate:.0f}" for rate in rates)
    return Row(f"end-to-end.{name}", (round(statistics.median(rates), 1),), "pods/s", f"{note}; runs: {shown}")


def _most_writes(runs: Sequence[Measured]) -> tuple[float, str]:
    return max((run.writes_a_pod, run.told) for run in runs)


def _run(scheduler: Scheduler, work: Work) -> Measured:
    with api_server(audit=True) as server:
        asyncio.run(_one(server, scheduler, work))
        assert server.audit_log is not None
        return measured(server.audit_log, driver.PODS)


async def _one(server: ApiServer, scheduler: Scheduler, work: Work) -> None:
    credentials, clock = Credentials(url=server.url, ca=server.ca, token=server.token), SystemClock()
    async with HttpTransport(credentials, clock) as transport:
        client = Client(transport, clock, Random(1), Limits(call=60))
        await driver.nodes(client)
        with scheduler(server) as prepare:
            await prepare(client)
            await work(client)
            await driver.all_placed(client)


@contextlib.contextmanager
def _kube_scheduler(server: ApiServer) -> Iterator[Work]:
    """Kubernetes' own, of the same module as the API server."""
    (port,) = free_ports(1)
    command = kube_scheduler_command(binary(Part("kube-scheduler")), _config(server), port, CALLS)
    with (server.folder / "kube-scheduler.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield driver.namespaces
    finally:
        stop([process])


@contextlib.contextmanager
def _ours(server: ApiServer) -> Iterator[Work]:
    """The roles that decide and that keep projects, as the processes of the chart's pods."""
    (explain,) = free_ports(1)
    with processes(_config(server), server.folder, lease={}) as running:

        async def prepare(client: Client) -> None:
            await driver.kinds_of_ours(client)
            roles = [
                running.start("controllers"),
                running.start("scheduler", FAIRLEAD_SCHEDULER_EXPLAIN_PORT=str(explain)),
            ]
            await driver.organisation(client)
            await driver.until(lambda: asyncio.to_thread(lambda: all(role.leads() for role in roles)))

        yield prepare


def _config(server: ApiServer) -> Path:
    """Of an administrator whom the audit log tells from the one who creates the pods."""
    path, keys = server.folder / "scheduler.kubeconfig", server.folder / "admin"
    user = {"client-certificate": f"{keys}.crt", "client-key": f"{keys}.key"}
    path.write_text(kubeconfig(server.url, server.folder / "ca.crt", user))
    return path
