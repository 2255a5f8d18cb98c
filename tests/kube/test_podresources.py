"""The kubelet's PodResources API, spoken to a gRPC server that answers as a kubelet does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from tests.parts.cluster.protobuf import encode

from fairlead.kube.podresources import allocatable, devices
from fairlead.runtime.errors import Retryable, Unreachable

Serve = Callable[[str, Callable[[], bytes]], None]


@pytest.fixture
def socket(tmp_path: Path) -> str:
    return str(tmp_path / "kubelet.sock")


@pytest.fixture
def serve(socket: str) -> Iterator[Serve]:
    """Starts the server: what a method answers."""
    servers = []

    def start(method: str, answer: Callable[[], bytes]) -> None:
        def handle(_request: bytes, context: grpc.ServicerContext) -> bytes:
            try:
                return answer()
            except RuntimeError as error:
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
                raise AssertionError from error

        server = grpc.server(ThreadPoolExecutor(2))
        handlers = {method: grpc.unary_unary_rpc_method_handler(handle)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("v1.PodResourcesLister", handlers),))
        server.add_insecure_port(f"unix:{socket}")
        server.start()
        servers.append(server)

    yield start
    for server in servers:
        server.stop(None).wait()


def a_pod(name: str, *ids: str, resource: str = "nvidia.com/gpu") -> tuple[int, bytes]:
    given = encode([(1, resource), *((2, one) for one in ids), (3, encode([(1, encode([(1, 5)]))]))])
    return 1, encode([(1, name), (2, "ns"), (3, encode([(1, "main"), (2, given)]))])


async def test_devices_are_told_by_pod_and_of_one_resource(socket: str, serve: Serve) -> None:
    serve(
        "List", lambda: encode([a_pod("a", "GPU-1"), a_pod("b", "GPU-2", "GPU-3"), a_pod("c", "x", resource="other")])
    )
    found = await devices("nvidia.com/gpu", socket)
    assert found == {("ns", "a"): ("GPU-1",), ("ns", "b"): ("GPU-2", "GPU-3")}


async def test_an_answer_of_many_frames_is_one_answer(socket: str, serve: Serve) -> None:
    serve("List", lambda: encode([a_pod(f"p{n}", f"GPU-{n}-{'x' * 200}") for n in range(2000)]))
    assert len(await devices("nvidia.com/gpu", socket)) == 2000


async def test_what_the_kubelet_could_give_is_all_its_devices(socket: str, serve: Serve) -> None:
    serve("GetAllocatableResources", lambda: encode([(1, encode([(1, "nvidia.com/gpu"), (2, "b"), (2, "a")]))]))
    assert await allocatable("nvidia.com/gpu", socket) == ("a", "b")


async def test_a_kubelet_that_is_not_there_is_unreachable(socket: str) -> None:
    with pytest.raises(Unreachable, match="does not answer on"):
        await devices("nvidia.com/gpu", socket)


async def test_a_refusal_is_told_in_the_kubelets_words(socket: str, serve: Serve) -> None:
    def refuse() -> bytes:
        raise RuntimeError("too many requests")

    serve("List", refuse)
    with pytest.raises(Retryable, match="too many requests"):
        await devices("nvidia.com/gpu", socket)


async def test_an_answer_that_is_no_such_message_is_said_to_be(socket: str, serve: Serve) -> None:
    serve("List", lambda: b"\xff\xff\xff")
    with pytest.raises(Retryable, match="cannot be read"):
        await devices("nvidia.com/gpu", socket)
