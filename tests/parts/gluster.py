"""A file server that many machines write to at once: Debian's GlusterFS, one brick, mounted over FUSE by whoever wants it.

The kernel of a test machine need not know network file systems for it. GlusterFS's own management is left out: two files say all.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.parts.apiserver import free_ports, stop
from tests.parts.cluster.machines import Machine
from tests.parts.debian import program
from tests.parts.listening import wait

PROGRAMS = (("glusterfsd", "glusterfs-server"), ("glusterfs", "glusterfs-client"))
_BRICK = """
volume data
  type storage/posix
  option directory {data}
end-volume
volume locks
  type features/locks
  subvolumes data
end-volume
volume server
  type protocol/server
  option transport-type tcp
  option transport.socket.bind-address {host}
  option transport.socket.listen-port {port}
  option auth.addr.locks.allow *
  subvolumes locks
end-volume
"""
_CLIENT = """
volume client
  type protocol/client
  option transport-type tcp
  option remote-host {host}
  option remote-port {port}
  option remote-subvolume locks
end-volume
"""


@dataclass(frozen=True)
class Brick:
    """A running server. `data`: the folder that it serves."""

    folder: Path
    data: Path
    client: Path
    process: subprocess.Popen[bytes]

    def end(self) -> None:
        """Have it go, as a file server that dies: what is mounted stays mounted."""
        stop([self.process])

    def mount(self, machine: Machine, at: Path) -> None:
        """Mount it there; the machine has to be able to reach it. Raises: RuntimeError."""
        log = self.folder / f"{machine.name}.log"
        machine.run("glusterfs", "-f", self.client, "-l", log, at)


@contextmanager
def brick(folder: Path, host: str) -> Iterator[Brick]:
    """Give a server at that address of this machine. Raises: Unavailable, RuntimeError."""
    server, _ = (program(*each) for each in PROGRAMS)
    folder.mkdir()
    (folder / "data").mkdir()
    (port,) = free_ports(1)
    place = {"host": host, "port": port, "data": folder / "data"}
    (folder / "brick.vol").write_text(_BRICK.format(**place))
    (folder / "client.vol").write_text(_CLIENT.format(**place))
    process = subprocess.Popen([server, "-N", "-f", folder / "brick.vol", "-l", folder / "brick.log"])
    try:
        wait(process, (host, port), folder / "brick.log")
        yield Brick(folder, folder / "data", folder / "client.vol", process)
    finally:
        stop([process])
