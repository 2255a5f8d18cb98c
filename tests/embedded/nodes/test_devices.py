"""Which devices a pod gets."""

from __future__ import annotations

import pytest

from fairlead.embedded.nodes.devices import NoDevice, choose, visible_devices
from fairlead.objects.fields import DEVICES, GPU_GROUP, GPU_RESOURCE
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.pod import Container, Pod, PodSpec, ResourceRequirements


def a_pod(gpus: int = 0, *, groups: str = "", devices: str = "") -> Pod:
    notes = {key: text for key, text in ((GPU_GROUP, groups), (DEVICES, devices)) if text}
    resources = ResourceRequirements(limits={GPU_RESOURCE: str(gpus)} if gpus else {})
    spec = PodSpec(containers=(Container(name="c", image="x", resources=resources),))
    return Pod(metadata=ObjectMeta(name="p", annotations=notes), spec=spec)


def test_whole_devices_are_the_first_free_ones() -> None:
    assert choose(a_pod(2), 4, [a_pod(1, devices="0"), a_pod(1, devices="2")]) == (1, 3)


def test_pods_of_one_group_share_one_device() -> None:
    first = choose(a_pod(groups="g"), 4, [])
    assert choose(a_pod(groups="g"), 4, [a_pod(groups="g", devices=str(first[0]))]) == first


def test_another_group_gets_another_device() -> None:
    assert choose(a_pod(groups="h"), 4, [a_pod(groups="g", devices="0")]) == (1,)


def test_several_shared_devices_are_found_group_by_group() -> None:
    assert choose(a_pod(groups="g,h"), 4, [a_pod(groups="h,i", devices="2,0")]) == (1, 2)


@pytest.mark.parametrize("wanted", [a_pod(2), a_pod(groups="new")])
def test_a_node_that_is_too_full_says_so(wanted: Pod) -> None:
    with pytest.raises(NoDevice):
        choose(wanted, 1, [a_pod(1, devices="0")])


def test_a_pod_without_devices_gets_none_and_sees_none() -> None:
    assert choose(a_pod(), 4, []) == ()
    assert visible_devices((), {}, simulated=False)["NVIDIA_VISIBLE_DEVICES"] == "void"


def test_a_pod_sees_its_devices_and_whether_they_are_real() -> None:
    shown = visible_devices((1,), {0: "GPU-a", 1: "GPU-b"}, simulated=True)
    assert shown == {"NVIDIA_VISIBLE_DEVICES": "GPU-b", "CUDA_VISIBLE_DEVICES": "1", "FAIRLEAD_SIMULATED_GPU": "1"}
