"""The kubelet's PodResources API: which devices it gave to which pod of its node.

It speaks gRPC on a socket of the node: one call, answered by one message (h2 does the HTTP/2). Source: k8s.io/kubelet podresources/v1.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from h2.exceptions import ProtocolError

from fairlead.kube.protobuf import parts, whole
from fairlead.runtime.errors import Retryable, Unreachable

T = TypeVar("T")

SOCKET: Final = "/var/lib/kubelet/pod-resources/kubelet.sock"
_LIST: Final = "/v1.PodResourcesLister/List"
_ALLOCATABLE: Final = "/v1.PodResourcesLister/GetAllocatableResources"
_SECONDS: Final = 10.0
_PIECE: Final = 65536

Given = dict[tuple[str, str], tuple[str, ...]]
"""(namespace, name) of a pod to the ids of its devices of one resource."""


async def devices(resource: str, socket: str = SOCKET) -> Given:
    """Pods of the node that have devices of the resource, and which.

    Raises: Unreachable where the kubelet does not answer (it may be starting), Retryable where it refuses or cannot be understood.
    """
    return await _ask(_LIST, socket, lambda answer: _given(answer, resource))


async def allocatable(resource: str, socket: str = SOCKET) -> tuple[str, ...]:
    """Ids of all devices of the resource that the kubelet would give, sorted. Raises: as `devices`."""
    return await _ask(_ALLOCATABLE, socket, lambda answer: tuple(sorted(_ids(_fields(answer, 1), resource))))


async def _ask(method: str, socket: str, read: Callable[[bytes], T]) -> T:
    try:
        async with asyncio.timeout(_SECONDS):
            answer = await _call(method, socket)
    except (OSError, TimeoutError) as error:
        raise Unreachable(f"the kubelet does not answer on {socket}: {error or 'no answer in time'}") from error
    except ProtocolError as error:
        raise Retryable(f"the kubelet's answer on {socket} is no gRPC: {error}") from error
    try:
        return read(answer)
    except (ValueError, IndexError, TypeError) as error:
        raise Retryable(f"the kubelet's answer on {socket} cannot be read: {error!r}") from error


async def _call(method: str, socket: str) -> bytes:
    reader, writer = await asyncio.open_unix_connection(socket)
    try:
        connection = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        connection.initiate_connection()
        stream = connection.get_next_available_stream_id()
        headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", method),
            (":authority", "localhost"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ]
        connection.send_headers(stream, headers)
        connection.send_data(stream, b"\0\0\0\0\0", end_stream=True)  # one message, not compressed, empty
        writer.write(connection.data_to_send())
        return await _answer(connection, reader, writer)
    finally:
        writer.close()


async def _answer(connection: H2Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The one message of the answer."""
    body, said = b"", dict[bytes, bytes]()
    while piece := await reader.read(_PIECE):
        for event in connection.receive_data(piece):
            if isinstance(event, ResponseReceived | TrailersReceived):
                said.update((bytes(name), bytes(value)) for name, value in event.headers or ())
            elif isinstance(event, DataReceived):
                body += event.data
                connection.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
            elif isinstance(event, StreamEnded):
                if said.get(b"grpc-status") != b"0":
                    raise Retryable(
                        f"the kubelet refuses: {said.get(b'grpc-message', b'it does not say why').decode()}"
                    )
                return body[5:]
            elif isinstance(event, StreamReset):
                raise ConnectionResetError("the stream was reset")
        writer.write(connection.data_to_send())
    raise ConnectionResetError("the connection ended before the answer did")


def _given(answer: bytes, resource: str) -> Given:
    found: Given = {}
    for pod in _fields(answer, 1):
        (name,), (namespace,) = _fields(pod, 1), _fields(pod, 2)
        ids = [one for container in _fields(pod, 3) for one in _ids(_fields(container, 2), resource)]
        if ids:
            found[namespace.decode(), name.decode()] = tuple(ids)
    return found


def _ids(given: list[bytes], resource: str) -> Iterator[str]:
    """Ids of the resource's devices, of messages that name a resource and some of its devices."""
    for one in given:
        if _fields(one, 1) == [resource.encode()]:
            yield from (device.decode() for device in _fields(one, 2))


def _fields(message: bytes, number: int) -> list[bytes]:
    return [whole(value) for at, value in parts(message) if at == number]
