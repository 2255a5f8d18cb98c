"""Objects as rows, whatever is written in them."""

from __future__ import annotations

from fairlead.cluster.agent.rows import node_row, pod_row
from fairlead.objects import fields
from fairlead.objects.builtin import Node, NodeStatus
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.organisation import DeviceReport, NodeReport, NodeReportStatus
from fairlead.objects.pod import Container, Pod, PodSpec, ResourceRequirements


def a_pod(limits: dict[str, str], **notes: str) -> Pod:
    resources = ResourceRequirements(requests={**limits})
    meta = ObjectMeta(name="p", uid="u", annotations={k.replace("_", "-"): v for k, v in notes.items()})
    return Pod(metadata=meta, spec=PodSpec(containers=(Container(name="c", image="x", resources=resources),)))


def test_a_pod_is_shown_with_the_gpus_it_asks_for() -> None:
    assert pod_row(a_pod({"nvidia.com/gpu": "2"}), "w", 0).gpu_milli == 2000
    assert pod_row(a_pod({}, gpu_fraction="0.25"), "w", 0).gpu_milli == 250
    assert pod_row(a_pod({}, gpu_fraction="0.5", **{fields.GPU_FRACTION_DEVICES: "2"}), "w", 0).gpu_milli == 1000


def test_a_pod_whose_amounts_cannot_be_read_is_shown_as_asking_for_nothing() -> None:
    row = pod_row(a_pod({"memory": "lots", "nvidia.com/gpu": "some"}, gpu_fraction="half"), "w", 0)
    assert (row.gpu_milli, row.memory_bytes) == (0, 0)


def test_a_node_that_says_nonsense_of_itself_is_one_row_of_reasonable_size() -> None:
    amounts = {"cpu": "16", "memory": "big", "nvidia.com/gpu": "100000000"}
    node = Node(metadata=ObjectMeta(name="n"), status=NodeStatus(allocatable={**amounts}))
    row = node_row(node, None, (), {}, "default")
    assert (row.cpu_milli, row.memory_bytes, len(row.gpus)) == (16_000, 0, 1024)


def test_devices_that_no_annotation_names_are_those_its_node_reports() -> None:
    whole, shared = a_pod({"nvidia.com/gpu": "2"}), a_pod({}, gpu_fraction="0.5", **{fields.VISIBLE_DEVICES: "GPU-c"})
    name = f"{whole.metadata.namespace}/{whole.metadata.name}"
    devices = (
        DeviceReport(uuid="GPU-a", index=0, pods=(name,)),
        DeviceReport(uuid="GPU-b", index=1, pods=(name,)),
        DeviceReport(uuid="GPU-c", index=2),
    )
    report = NodeReport(status=NodeReportStatus(devices=devices))
    assert pod_row(whole, "w", 0, report).devices == (0, 1)
    assert pod_row(shared, "w", 0, NodeReport(status=NodeReportStatus(devices=devices[2:]))).devices == (2,)
    assert pod_row(shared, "w", 0).devices == ()
