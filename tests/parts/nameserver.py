"""A name server with a handful of names, and programs that ask it instead of the machine's."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.parts.build import Unavailable

_NO_SUCH_NAME = 3


@contextlib.contextmanager
def nameserver(names: Mapping[str, str], address: str = "127.0.0.53") -> Iterator[str]:
    """Give its address. `names`: to an IPv4 address. Raises: Unavailable where port 53 is not to be had."""

    class Asked(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            packet, sock = self.request
            sock.sendto(_answer(packet, names), self.client_address)

    try:
        server = socketserver.ThreadingUDPServer((address, 53), Asked)
    except OSError as error:
        raise Unavailable(f"no name server can be started on {address}: {error}") from error
    with server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield address
        server.shutdown()


def asking(address: str, folder: Path, *search: str) -> tuple[str, ...]:
    """What a command line must begin with so that its program asks there. `search`: domains, as a pod has them. Raises: Unavailable."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        raise Unavailable("only root can give a program another /etc/resolv.conf")
    file = folder / "resolv.conf"
    file.write_text(f"nameserver {address}\nsearch {' '.join(search)}\noptions ndots:5\n")
    return (
        "unshare",
        "--mount",
        "sh",
        "-c",
        'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"',
        "sh",
        str(file),
    )


def _answer(packet: bytes, names: Mapping[str, str]) -> bytes:
    """Of one question: its address, or that there is no such name."""
    labels, at = [], 12
    while length := packet[at]:
        labels.append(packet[at + 1 : at + 1 + length].decode())
        at += 1 + length
    question, (sort,) = packet[12 : at + 5], struct.unpack(">H", packet[at + 1 : at + 3])
    found = names.get(".".join(labels))
    answers = [socket.inet_aton(found)] if found and sort == 1 else []
    flags = 0x8580 | (0 if found else _NO_SUCH_NAME)
    head = packet[:2] + struct.pack(">HHHHH", flags, 1, len(answers), 0, 0)
    return head + question + b"".join(struct.pack(">HHHIH", 0xC00C, 1, 1, 5, 4) + each for each in answers)
