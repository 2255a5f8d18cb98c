"""An NFS server is told from others by the call that does nothing, without a mount."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.parts.apiserver import free_ports
from tests.parts.build import Unavailable
from tests.parts.nfs import NfsServer, nfs_server

from fairlead.preflight.gather.nfs import answers

HERE = "127.0.0.1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NfsServer]:
    try:
        with nfs_server(tmp_path_factory.mktemp("nfs"), HERE, *free_ports(1)) as running:
            yield running
    except Unavailable as reason:
        pytest.skip(str(reason))


async def test_a_server_answers_and_is_one_that_clients_write_to(server: NfsServer, tmp_path: Path) -> None:
    assert await answers(HERE, 10, server.port) == "ok"
    server.data.chmod(0o777)
    (tmp_path / "here").write_text("written\n")
    await asyncio.to_thread(subprocess.run, ["nfs-cp", tmp_path / "here", server.url("there")], check=True, timeout=60)
    assert (server.data / "there").read_text() == "written\n"
    read = await asyncio.to_thread(subprocess.check_output, ["nfs-cat", server.url("there")], timeout=60)
    assert read == b"written\n"


async def test_what_is_no_nfs_server_is_told_as_such() -> None:
    async def talks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    async def waits(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    told = []
    for answer, patience in ((talks, 10.0), (hangs_up, 10.0), (waits, 0.2)):
        async with await asyncio.start_server(answer, HERE, 0) as other:
            told.append(await answers(HERE, patience, other.sockets[0].getsockname()[1]))
    assert told == ["no-nfs", "cut", "timeout"]
    assert await answers(HERE, 10, *free_ports(1)) == "refused"
    assert await answers("no-such-host.invalid", 10) not in ("ok", "no-nfs", "cut")
