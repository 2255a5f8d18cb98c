"""A real NFS server that needs no kernel's: Debian's Ganesha, and libnfs's programs as its clients."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.parts.apiserver import stop
from tests.parts.debian import program
from tests.parts.listening import wait

PROGRAMS = (("ganesha.nfsd", "nfs-ganesha", "nfs-ganesha-vfs"), ("nfs-cp", "libnfs-utils"))
_SETTINGS = """
NFS_CORE_PARAM {{
  Protocols = 4;
  Bind_addr = {host};
  NFS_Port = {port};
  Enable_NLM = false;
  Enable_RQUOTA = false;
}}
NFSv4 {{
  Graceless = true;
  RecoveryRoot = {folder}/recovery;
}}
EXPORT {{
  Export_Id = 1;
  Path = {folder}/data;
  Pseudo = /data;
  Access_Type = RW;
  Squash = No_Root_Squash;
  SecType = sys;
  FSAL {{ Name = VFS; }}
}}
"""


@dataclass(frozen=True)
class NfsServer:
    """It runs. `data`: the folder that it exports as /data."""

    host: str
    port: int
    data: Path

    def url(self, name: str) -> str:
        """A file there, as libnfs's programs name it."""
        return f"nfs://{self.host}/data/{name}?version=4&nfsport={self.port}"


@contextmanager
def nfs_server(folder: Path, host: str, port: int) -> Iterator[NfsServer]:
    """Give a server at that address of this machine. Raises: Unavailable, RuntimeError."""
    server, _ = (program(*words) for words in PROGRAMS)
    for name in ("data", "recovery"):
        (folder / name).mkdir(parents=True)
    (folder / "ganesha.conf").write_text(_SETTINGS.format(host=host, port=port, folder=folder))
    log = folder / "ganesha.log"
    command = [server, "-F", "-f", folder / "ganesha.conf", "-p", folder / "pid", "-L", log]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait(process, (host, port), log)
        yield NfsServer(host, port, folder / "data")
    finally:
        stop([process])
