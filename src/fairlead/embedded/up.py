"""`fairlead up`: control plane, embedded Kubernetes API, all roles and the nodes, as tasks of one process."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import IO

import msgspec
import uvicorn
from msgspec import Struct

import fairlead
from fairlead.cluster.agent.links import AgentOptions
from fairlead.cluster.agent.main import Agent
from fairlead.cluster.controllers.main import Controllers, ControllersOptions
from fairlead.cluster.controllers.standing import StandingOptions
from fairlead.cluster.scheduler.main import Scheduler
from fairlead.embedded.api import Api
from fairlead.embedded.nodes.container import ContainerRuntime, engine
from fairlead.embedded.nodes.kubelet import Kubelet
from fairlead.embedded.nodes.process import ProcessRuntime
from fairlead.embedded.nodes.runtime import Runtime
from fairlead.embedded.nodes.simulated import SimulatedRuntime
from fairlead.embedded.options import UpOptions, check, nodes_of
from fairlead.embedded.secrets import Secrets, load_or_make, write_private
from fairlead.embedded.store import EmbeddedTransport, Store
from fairlead.embedded.web import Server
from fairlead.kube.client import Client
from fairlead.runtime.clock import Clock, SystemClock
from fairlead.runtime.disk import check_database, full, is_full, make_private, make_usable
from fairlead.runtime.errors import Conflict, FairleadError, Invalid
from fairlead.runtime.logs import logger
from fairlead.runtime.settings import PORT_OPTION, environment
from fairlead.runtime.supervise import Supervisor
from fairlead.server.api.application import create_app, create_context
from fairlead.server.auth.permissions import administrator
from fairlead.server.auth.secrets import new_secret
from fairlead.server.config import ServerConfig
from fairlead.server.services import accounts, clusters
from fairlead.server.services.context import Context

CLUSTER_NAME = "this-machine"
_CHECKS = ("node-health",)
"""Of one machine: the others ask for what only a cluster has."""
_LOOK_SECONDS = 0.02
_SETTLE_SECONDS = 5.0
"""Until the first of them, once the nodes are there."""
_PATIENCE_SECONDS = 5.0
"""How long the start waits for another program that holds a database."""


class State(Struct, frozen=True, kw_only=True):
    """What a running process tells others: written to `up.json` once it is ready."""

    pid: int
    url: str
    kubeconfig: str
    version: str
    started: float
    simulated: bool
    nodes: int
    gpus: int
    runtime: str
    ca: str = ""
    """File with the certificate that it shows; empty without TLS."""
    key: str = ""


async def serve(options: UpOptions) -> None:
    """Runs until SIGTERM or SIGINT.

    Raises: Conflict where another process runs on this data or holds the port; Invalid for options that cannot be;
    FairleadError for files that cannot be read; what `make_usable` raises; Retryable where another program holds a
    database, or the disk becomes full before everything runs.
    """
    check(options)
    make_usable(options.data)
    with _said_plainly(options.data), _only_one(options.data):
        make_private(options.data / "control-plane.db")
        check_database(options.data / "control-plane.db", _PATIENCE_SECONDS)
        secrets = load_or_make(options.data / "secrets.json")
        write_private(options.data / "admin-password", secrets.admin_password + "\n")
        with _listening(options.host, options.port) as listener:
            await _Installation(options, secrets, listener).run()


class _Installation:
    """All parts of one process, made and not yet started."""

    def __init__(self, options: UpOptions, secrets: Secrets, listener: socket.socket) -> None:
        self._options, self._secrets, self._listener = options, secrets, listener
        self._clock, self._rng = SystemClock(), Random()
        self._url = f"{'https' if options.tls_cert else 'http'}://{_shown(options.host)}:{listener.getsockname()[1]}"
        self._nodes = nodes_of(options)
        self._store = Store(self._clock, self._rng, options.data / "kubernetes.db")
        kube = Client(EmbeddedTransport(self._store), self._clock, self._rng)
        self._kubelet = Kubelet(kube, self._clock, self._rng, self._nodes, _runtimes(options, self._clock))
        self._store.door = self._kubelet
        self._tasks = Supervisor(self._clock, self._rng)
        standing = StandingOptions(settle=_SETTLE_SECONDS, codes=_CHECKS, faults=self._tasks.failing)
        self._controllers = Controllers(kube, self._clock, self._rng, ControllersOptions(standing=standing))
        self._scheduler = Scheduler(kube, self._clock)
        self._agent = Agent(kube, self._scheduler, _agent_options(options, secrets, self._url), self._rng)
        self._context = _context(options, secrets, self._clock, self._url)
        self._server = Server(_uvicorn(options, self._context))
        self._api = Api(self._store, secrets.kube_token, options.data)

    async def run(self) -> None:
        """Starts everything, says when it is ready, and ends it all on a signal."""
        self._tasks.add("server", lambda: self._server.serve(sockets=[self._listener]))
        self._tasks.add("controllers", self._controllers.run, restart=True)
        self._tasks.add("scheduler", self._scheduler.run, restart=True)
        self._tasks.add("kubelet", self._kubelet.run, restart=True)
        self._tasks.add("ready", self._ready)
        try:
            await self._context.database.migrate()
            await self._api.start()
            self._api.write_kubeconfig(self._kubeconfig)
            self._tasks.stop_on_signals()  # not before: a signal while the files are opened ends the process at once
            await self._tasks.run()
        finally:
            self._state_file.unlink(missing_ok=True)
            await self._api.stop()
            await self._context.database.close()
            self._store.close()

    @property
    def _kubeconfig(self) -> Path:
        return self._options.data / "kubeconfig"

    @property
    def _state_file(self) -> Path:
        return self._options.data / "up.json"

    async def _ready(self) -> None:
        while not self._server.started:  # noqa: ASYNC110  # uvicorn has no event to wait for
            await asyncio.sleep(0.01)
        await _first_time(self._context, self._secrets)
        self._tasks.add("agent", self._agent.run, restart=True)
        await self._agent_connected()
        write_private(self._state_file, msgspec.json.encode(self._state()).decode())
        logger("up").info("ready", url=self._url)

    async def _agent_connected(self) -> None:
        """Raises: Invalid where the certificate is one that not even this process trusts for its own address."""
        while not self._agent.connected.is_set():
            trouble = self._agent.trouble
            if trouble is not None and trouble.code == "certificate-untrusted":
                raise Invalid(
                    f"--tls-cert {self._options.tls_cert} does not do for {self._url}: {trouble.message}",
                    hint="It has to name the address (--host) that it is shown for, also for this machine itself.",
                    code="tls-cert",
                )
            await asyncio.sleep(_LOOK_SECONDS)

    def _state(self) -> State:
        return State(
            pid=os.getpid(),
            url=self._url,
            kubeconfig=str(self._kubeconfig),
            version=fairlead.__version__,
            started=self._clock.now(),
            simulated=any(n.simulated for n in self._nodes),
            nodes=len(self._nodes),
            gpus=sum(len(n.devices) for n in self._nodes),
            runtime=self._nodes[0].runtime if self._nodes else "simulated",
            ca=str(Path(self._options.tls_cert).absolute()) if self._options.tls_cert else "",
            key=next(iter(self._context.one_time_keys), ""),
        )


async def _first_time(context: Context, secrets: Secrets) -> None:
    """The administrator and this cluster, where they are not there yet."""
    await accounts.ensure_administrator(context, secrets.admin_password)
    root = administrator("fairlead")
    if not any(c.id == secrets.cluster_id for c in await clusters.list_clusters(context, root)):
        await clusters.create_cluster(
            context, root, CLUSTER_NAME, cluster_id=secrets.cluster_id, secret=secrets.cluster_secret
        )


def _agent_options(options: UpOptions, secrets: Secrets, url: str) -> AgentOptions:
    return AgentOptions(url=url, cluster=secrets.cluster_id, secret=secrets.cluster_secret, ca_file=options.tls_cert)


def _context(options: UpOptions, secrets: Secrets, clock: Clock, url: str) -> Context:
    config = ServerConfig(
        database_url=f"sqlite+aiosqlite:///{options.data / 'control-plane.db'}",
        signing_key=bytes.fromhex(secrets.signing_key),
        public_url=url,
        web_folder=options.web,
        secure_cookies=bool(options.tls_cert),
        one_time_key=new_secret(24),
    )
    return create_context(config, clock.now)


def _uvicorn(options: UpOptions, context: Context) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(context),
        log_config=None,
        access_log=False,
        ws="websockets-sansio",
        ws_max_size=1 << 30,
        timeout_graceful_shutdown=1,
        ssl_certfile=options.tls_cert or None,
        ssl_keyfile=options.tls_key or None,
    )


def _runtimes(options: UpOptions, clock: Clock) -> dict[str, Runtime]:
    env, data = environment(), options.data
    found: dict[str, Runtime] = {"process": ProcessRuntime(data / "pods", env), "simulated": SimulatedRuntime(clock)}
    if (program := engine()) is not None:
        found["container"] = ContainerRuntime(data / "containers", env, program)
    return found


def _shown(host: str) -> str:
    return "127.0.0.1" if host in ("localhost", "0.0.0.0", "::") else host


@contextlib.contextmanager
def _said_plainly(data: Path) -> Iterator[None]:
    """Lets a failure that a person can do something about come out as that, from whatever task and library it is in."""
    try:
        yield
    except (ExceptionGroup, OSError, sqlite3.Error) as error:
        for cause in _causes(error):
            if isinstance(cause, FairleadError):
                raise cause from error
            if is_full(cause):
                raise full(data) from error
        raise


def _causes(error: Exception) -> list[Exception]:
    """Give the failures that a group holds; any other stands for itself."""
    return [c for e in error.exceptions for c in _causes(e)] if isinstance(error, ExceptionGroup) else [error]


@contextlib.contextmanager
def _only_one(data: Path) -> Iterator[None]:
    """Holds the data folder for this process. Raises: Conflict where another one does."""
    lock: IO[str] = (data / "lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise Conflict(
            f"Another `fairlead up` runs on the data in {data}.",
            hint="`fairlead status` shows it, `fairlead down` stops it; --data chooses another folder.",
            code="already-up",
        ) from None
    try:
        lock.truncate(0)
        lock.write(str(os.getpid()))  # for `fairlead down` until there is more to tell
        lock.flush()
        yield
    finally:
        lock.close()


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket on that port. Raises: Conflict where the port is taken."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise Conflict(
            f"Port {port} of {host} cannot be used: {error.strerror or error}.",
            hint=_about_address(error),
            code="port-taken",
        ) from None
    try:
        yield listener
    finally:
        listener.close()


def _about_address(error: OSError) -> str:
    """What to do about a socket that cannot be had."""
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return "`--host` takes an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all of them."
    other = environment().get(PORT_OPTION) or "--port"
    if error.errno == errno.EACCES:
        return f"Ports below 1024 need more rights; {other} chooses another."
    return f"Something else may listen there; {other} chooses another."
