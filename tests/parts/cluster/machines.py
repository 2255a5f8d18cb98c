"""A machine inside this one: its own processes, mounts, network and host name, all of which end with its first process.

That first process dies with the one that started it, so whatever kills a test run also ends every container of it, its
mounts, its network interfaces and its firewall rules: the kernel cleans up, nothing has to be undone.
"""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

OWN_FOLDERS = ("/var/lib", "/var/log")
"""A machine has these to itself, and an empty /run: programs keep their usual paths and leave nothing behind."""
_DIE_TOGETHER = ("setpriv", "--pdeathsig", "KILL", "--")
"""To the kernel it is the thread that starts it whose end counts."""
_NAMESPACES = ("--mount", "--pid", "--net", "--uts", "--ipc")
_SETTINGS = ("net.ipv4.ip_forward=1", "net.ipv4.tcp_fin_timeout=5", "net.ipv4.tcp_orphan_retries=1")
"""It hands packets on, and goes with its processes: a connection that nobody has any more would keep a network for minutes."""


@dataclass(frozen=True)
class Machine:
    """Namespaces that share nothing with this machine but its files and its kernel."""

    name: str
    folder: Path
    """Holds logs and, below `root`, what the machine sees in OWN_FOLDERS."""
    process: subprocess.Popen[bytes]
    first: psutil.Process
    """Process 1 of the machine, as seen from outside; `process` is its parent."""
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)
    """What runs programs in it, from outside: each ends with its program."""

    def host_path(self, path: str) -> Path:
        """Give where a path below OWN_FOLDERS is found from outside."""
        return self.folder / "root" / path.lstrip("/")

    def inside(self, command: Sequence[str | Path], *, only_network: bool = False) -> list[str]:
        """Give the command that runs another one in the machine."""
        spaces = ("--net",) if only_network else _NAMESPACES
        return ["nsenter", f"--target={self.first.pid}", *spaces, "--", *map(str, command)]

    def run(self, *command: str | Path, given: bytes = b"") -> str:
        """Give what a command in the machine prints. Raises: RuntimeError with its error output."""
        return run(self.inside(command), given)

    def stop(self) -> None:
        """End every process of the machine, and wait for it."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self.first.kill()
        for process in (self.process, *self.started):
            process.wait(timeout=20)


@dataclass
class Service:
    """One program in a machine, and the file it logs to."""

    machine: Machine
    name: str
    command: Sequence[str | Path]
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def log(self) -> Path:
        """The file that has its output since the cluster began."""
        return self.machine.folder / f"{self.name}.log"

    def start(self) -> None:
        """Start it; it runs on when this returns, and perhaps ends soon: see `is_running`."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.machine.inside(self.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.machine.started.append(self.process)

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """End it at once, as a crash would: what it started goes on."""
        assert self.process is not None, "it was never started"
        for child in psutil.Process(self.process.pid).children() if self.is_running else ():
            child.kill()
        self.process.wait(timeout=10)

    def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start()


def boot(name: str, folder: Path) -> Machine:
    """Give a new machine without a network; it ends with the thread that calls this. Raises: RuntimeError."""
    (folder / "root").mkdir(parents=True)
    parts = [f"hostname {shlex.quote(name)}", "mount -t tmpfs tmpfs /run", "ip link set lo up"]
    for path in OWN_FOLDERS:
        mine = folder / "root" / path.lstrip("/")
        mine.mkdir(parents=True)
        parts.append(f"mount --bind {shlex.quote(str(mine))} {path}")
    parts += ["mount --make-rshared /", "sysctl -qw " + " ".join(_SETTINGS), "echo up"]
    script = " && ".join(parts) + " && while :; do sleep 1000000 & wait $!; done"
    command = [*_DIE_TOGETHER, "unshare", "--fork", "--kill-child", "--mount-proc", *_NAMESPACES, "sh", "-c", script]
    with (folder / "machine.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    return Machine(name, folder, process, _first(process, folder / "machine.log"))


def connect(outer: Machine | None, end: str, inner: Machine, inner_end: str) -> None:
    """Lay a cable: interface `end` of `outer` (None: of this machine), `inner_end` of `inner`."""
    peer = ["peer", "name", inner_end, "netns", str(inner.first.pid)]
    network(outer, "link", "add", end, "type", "veth", *peer)
    network(outer, "link", "set", end, "up")
    network(inner, "link", "set", inner_end, "up")


def network(machine: Machine | None, *words: str) -> str:
    """Give what `ip` says about, or changes in, the network of a machine. Raises: RuntimeError."""
    command = ["ip", *words]
    return run(machine.inside(command, only_network=True) if machine else command)


def run(command: Sequence[str | Path], given: bytes = b"") -> str:
    """Give what a command prints. Raises: RuntimeError with its error output."""
    done = subprocess.run([str(word) for word in command], input=given, capture_output=True, timeout=120)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode()


def _first(process: subprocess.Popen[bytes], log: Path) -> psutil.Process:
    end = time.monotonic() + 20
    while time.monotonic() < end and process.poll() is None:
        if log.read_text().endswith("up\n"):
            return psutil.Process(process.pid).children()[0]
        time.sleep(0.01)
    process.kill()
    raise RuntimeError(f"this machine cannot make namespaces for a node: {log.read_text().strip()}")
