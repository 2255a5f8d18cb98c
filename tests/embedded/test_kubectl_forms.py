"""What kubectl sends besides JSON, asks before it sends, and shows."""

from __future__ import annotations

import pytest
from tests.embedded.test_api import Served, needs_kubectl, served

from fairlead.embedded import openapi, protobuf
from fairlead.embedded.store.status import StatusError
from fairlead.objects.kinds import CONFIG_MAP, KINDS, NAMESPACE, TRAINING
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.workload import Training, WorkloadSpec

__all__ = ["served"]

QUEUE = """
apiVersion: scheduling.run.ai/v2
kind: Queue
metadata: {name: bad}
spec: {resources: {gpu: {quota: -5, limit: -1, overQuotaWeight: -1}}}
"""
NAMESPACE_FILE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: second}\n"


@needs_kubectl
async def test_kubectl_creates_what_it_sends_as_protobuf(served: Served) -> None:
    status, text = await served.kubectl("create", "namespace", "first")
    assert (status, text) == (0, "namespace/first created\n")
    assert (await served.client.get(NAMESPACE, "first")).metadata.name == "first"
    status, text = await served.kubectl("create", "configmap", "c", "--from-literal=a=b", "--from-literal=d=e")
    assert status == 0, text
    assert (await served.client.get(CONFIG_MAP, "c", "default")).data == {"a": "b", "d": "e"}
    assert (await served.kubectl("create", "secret", "generic", "s", "--from-literal=a=b"))[0] == 0
    assert (await served.kubectl("get", "secret", "s", "-o", "jsonpath={.data.a}"))[1] == "Yg=="
    status, text = await served.kubectl("create", "deployment", "d", "--image=x")
    assert (status, "write the object as YAML" in text) == (1, True)


@needs_kubectl
async def test_kubectl_applies_without_being_told_not_to_validate(served: Served) -> None:
    status, text = await served.kubectl("apply", "-f", "-", stdin=NAMESPACE_FILE)
    assert (status, text) == (0, "namespace/second created\n")
    status, text = await served.kubectl("create", "-f", "-", stdin=QUEUE.replace("-5", "5").replace("-1}", "1}"))
    assert status == 0, text
    wrong = QUEUE.replace("bad", "worse").replace("spec: {", "spec: {parent: x, ")
    status, text = await served.kubectl("apply", "-f", "-", stdin=wrong)
    assert (status, 'unknown field "spec.parent"' in text) == (1, True), text


@needs_kubectl
async def test_a_queue_with_less_than_no_bound_is_refused_by_field(served: Served) -> None:
    status, text = await served.kubectl("apply", "-f", "-", stdin=QUEUE)
    assert status == 1
    assert "spec.resources.gpu.quota in body should be greater than or equal to -1" in text
    assert "spec.resources.gpu.overQuotaWeight in body should be greater than or equal to 0" in text


@needs_kubectl
@pytest.mark.parametrize(
    ("spec", "gpus"),
    [
        (WorkloadSpec(image="x", gpu_devices=1, gpu_milli=500), "0.5"),
        (WorkloadSpec(image="x", gpu_devices=2), "2"),
        (WorkloadSpec(image="x"), "0"),
    ],
)
async def test_kubectl_shows_the_part_of_a_gpu_that_is_asked_for(served: Served, spec: WorkloadSpec, gpus: str) -> None:
    await served.client.create(TRAINING, Training(metadata=ObjectMeta(name="t"), spec=spec), "default")
    _, text = await served.kubectl("get", "trainings", "t", "-o", "wide")
    heads, row = text.splitlines()
    assert row[heads.index("GPUS") :].split()[0] == gpus


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"k8s\0", 415), (b"k8s\0\x0a\xff", 400), (b"k8s\0\x0a\x05\x0a\x01v", 400), (b"\x80" * 20, 400), (b"\x0b", 400)],
)
def test_what_is_no_protobuf_we_know_is_refused_and_never_a_bug(body: bytes, code: int) -> None:
    with pytest.raises(StatusError) as refused:
        protobuf.to_json(body)
    assert refused.value.code == code


def test_every_kind_says_that_the_server_checks_its_fields() -> None:
    listed = openapi.document("/openapi/v3")
    assert listed is not None
    for kind in KINDS:
        found = openapi.document(listed["paths"][kind.root.removeprefix("/")]["serverRelativeURL"])
        assert found is not None
        patches = [path["patch"] for path in found["paths"].values()]
        assert kind.kind in [p["x-kubernetes-group-version-kind"]["kind"] for p in patches]
    assert openapi.document("/openapi/v3/apis/none") is None
