"""Whether an NFS server answers: the call that does nothing (RFC 5531, RFC 7530), as a mount asks first. No kernel has to know NFS."""

from __future__ import annotations

import asyncio
import secrets
import struct
from typing import Final

from fairlead.preflight.gather.reach import exchange_word

PORT: Final = 2049
_CALL: Final = struct.Struct(">I10I")
"""Length, then: id of the call, that it is one, version of RPC, program, version, procedure, and twice an empty credential."""
_ANSWER: Final = struct.Struct(">I6I")
"""Length, then: id of the call, that it is an answer, that it was taken, an empty credential, how it ended."""
_LAST: Final = 1 << 31
_RPC_VERSION, _NFS, _NFS_VERSION = 2, 100_003, 4
_DONE, _OTHER_VERSION = 0, 2


async def answers(host: str, patience: float, port: int = PORT) -> str:
    """`ok`, or what came instead: no-nfs, cut, timeout, refused, a word for the name. `patience`: seconds."""
    number = secrets.randbits(32)
    call = _CALL.pack(_LAST | 40, number, 0, _RPC_VERSION, _NFS, _NFS_VERSION, 0, 0, 0, 0, 0)
    try:
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(call)
                _, same, is_answer, refused, *_, end = _ANSWER.unpack(await reader.readexactly(_ANSWER.size))
            finally:
                writer.close()
    except (OSError, EOFError) as error:
        return exchange_word(error)
    is_nfs = (same, is_answer, refused) == (number, 1, 0) and end in (_DONE, _OTHER_VERSION)
    return "ok" if is_nfs else "no-nfs"
