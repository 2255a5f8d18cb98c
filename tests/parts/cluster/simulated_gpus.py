"""Simulated GPUs: a device plugin as NVIDIA's, for GPUs that are not there, on a kubelet that is.

The kubelet allocates them, counts them and tells of them as it does with real ones; containers get
NVIDIA_VISIBLE_DEVICES, and nothing else. Field numbers are those of the kubelet's device plugin API, v1beta1.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from tests.parts.cluster.protobuf import encode, parts, texts

RESOURCE = "nvidia.com/gpu"
_POLL_SECONDS = 0.2


class SimulatedGpus:
    """The GPUs of one node, or instances of one MIG profile. Registers with the kubelet whose sockets are in `folder`, and followers."""

    def __init__(self, folder: Path, node: str, count: int, resource: str = RESOURCE) -> None:
        sort, seed = ("GPU", node) if resource == RESOURCE else ("MIG", f"{node}-{resource}")
        self.uuids = tuple(f"{sort}-{uuid.uuid5(uuid.NAMESPACE_DNS, f'{seed}-{index}')}" for index in range(count))
        self._resource, self._socket = resource, f"simulated-{resource.rpartition('/')[2]}.sock"
        self.brings: dict[str, Path] = {}
        """Files that containers with a GPU find at that path: what the container toolkit does with the driver's libraries."""
        self.registrations = 0
        """How often a kubelet has taken it."""
        self._folder = folder
        self._unhealthy: frozenset[str] = frozenset()
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=f"simulated-gpus-{node}", daemon=True)

    def start(self) -> None:
        """Begin to wait for a kubelet."""
        self._thread.start()

    def stop(self) -> None:
        """End all of it; the kubelet then counts none of these GPUs as usable."""
        self._stopped.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join()

    def set_unhealthy(self, *uuids: str) -> None:
        """Say which GPUs are broken from now on; the others are well."""
        with self._changed:
            self._unhealthy = frozenset(uuids)
            self._changed.notify_all()

    def _follow(self) -> None:
        """A kubelet that starts removes every plugin's socket and makes its own anew."""
        known = 0
        server: grpc.Server | None = None
        while not self._stopped.wait(_POLL_SECONDS):
            with contextlib.suppress(OSError, grpc.RpcError):
                kubelet = (self._folder / "kubelet.sock").stat().st_ino
                if kubelet == known and (self._folder / self._socket).exists():
                    continue
                if server:
                    server.stop(None)
                server = self._serve()
                self._register()
                known = kubelet
        if server:
            server.stop(None).wait(5)

    def _serve(self) -> grpc.Server:
        calls: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            "GetDevicePluginOptions": grpc.unary_unary_rpc_method_handler(_no_options),
            "ListAndWatch": grpc.unary_stream_rpc_method_handler(self._list_and_watch),
            "Allocate": grpc.unary_unary_rpc_method_handler(self._allocate),
        }
        server = grpc.server(
            ThreadPoolExecutor(4), [grpc.method_handlers_generic_handler("v1beta1.DevicePlugin", calls)]
        )
        (self._folder / self._socket).unlink(missing_ok=True)
        server.add_insecure_port(f"unix:{self._folder / self._socket}")
        server.start()
        return server

    def _register(self) -> None:
        request = encode([(1, "v1beta1"), (2, self._socket), (3, self._resource)])
        call(self._folder / "kubelet.sock", "/v1beta1.Registration/Register", request)
        self.registrations += 1

    def _list_and_watch(self, _: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        told: frozenset[str] | None = None
        while context.is_active() and not self._stopped.is_set():
            with self._changed:
                if told == self._unhealthy:
                    self._changed.wait(1)
                    continue
                told = self._unhealthy
            health = {True: "Unhealthy", False: "Healthy"}
            yield encode((1, encode([(1, one), (2, health[one in told])])) for one in self.uuids)

    def _allocate(self, request: bytes, _: grpc.ServicerContext) -> bytes:
        """Each container is told the UUIDs that the kubelet chose for it."""
        answers = []
        for container in parts(request, 1):
            chosen = encode([(1, "NVIDIA_VISIBLE_DEVICES"), (2, ",".join(texts(container, 1)))])
            mounts = [(2, encode([(1, at), (2, str(file)), (3, 1)])) for at, file in self.brings.items()]
            answers.append((1, encode([(1, chosen), *mounts])))
        return encode(answers)


def call(socket: Path, method: str, request: bytes) -> bytes:
    """Give the answer of a server on a socket of this machine. Raises: grpc.RpcError."""
    with grpc.insecure_channel(f"unix:{socket}") as channel:
        ask: Callable[..., bytes] = channel.unary_unary(method)
        return ask(request, timeout=5)


def _no_options(_: bytes, __: grpc.ServicerContext) -> bytes:
    return b""
