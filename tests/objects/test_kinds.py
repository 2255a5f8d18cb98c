"""The kind table, the codec and the field table hold together."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead.objects import fields
from fairlead.objects.codec import decode, encode, from_json, to_json
from fairlead.objects.crds import COLUMNS, definitions
from fairlead.objects.json import as_object
from fairlead.objects.kinds import CUSTOM_KINDS, KINDS, POD, QUEUE, TRAINING, foreign, kind_of
from fairlead.objects.meta import Object, ObjectMeta
from fairlead.objects.pod import Container, Pod, PodSpec
from fairlead.objects.times import micro_text_of, seconds_of, text_of


def test_no_two_kinds_share_a_place() -> None:
    assert len({kind.path() for kind in KINDS}) == len(KINDS)


def test_every_type_is_found_again_from_its_objects() -> None:
    for kind in KINDS:
        if issubclass(kind.type, Object) and not _needs_spec(kind.type):
            make: Any = kind.type
            assert kind_of(make()) is kind


def _needs_spec(type_: type[Object]) -> bool:
    return any(field.required for field in msgspec.structs.fields(type_))


def test_paths_are_those_of_the_api() -> None:
    assert POD.path("p", "ns", "binding") == "/api/v1/namespaces/ns/pods/p/binding"
    assert QUEUE.path("q") == "/apis/scheduling.run.ai/v2/queues/q"
    assert POD.path() == "/api/v1/pods"
    assert foreign("ray.io", "v1", "RayJob", "rayjobs").path("r", "n") == "/apis/ray.io/v1/namespaces/n/rayjobs/r"


def test_an_encoded_object_says_its_kind_and_leaves_defaults_out() -> None:
    pod = Pod(metadata=ObjectMeta(name="a"), spec=PodSpec(containers=(Container(name="c", image="x"),)))
    assert to_json(pod) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a"},
        "spec": {"containers": [{"name": "c", "image": "x"}]},
    }
    assert decode(POD, encode(pod)).spec == pod.spec


def test_fields_nobody_names_are_ignored_and_nulls_of_times_taken() -> None:
    body = b'{"metadata":{"name":"a","creationTimestamp":null,"managedFields":[{}]},"spec":{"new":1},"extra":2}'
    assert decode(POD, body).metadata.creation_timestamp is None


def test_a_field_of_another_shape_is_named() -> None:
    with pytest.raises(msgspec.ValidationError, match="gpuDevices"):
        from_json(TRAINING, {"metadata": {}, "spec": {"image": "x", "gpuDevices": "two"}})


def test_every_custom_kind_has_a_definition_with_a_structural_schema() -> None:
    found = definitions()
    assert [as_object(item["metadata"])["name"] for item in found] == [kind.resource for kind in CUSTOM_KINDS]
    assert set(COLUMNS) == {kind.kind for kind in CUSTOM_KINDS}
    assert "$ref" not in repr(found)


def test_every_key_stands_once_in_the_field_table() -> None:
    listed = [row.key for row in fields.FIELDS]
    assert len(listed) == len(set(listed))
    constants = {
        value
        for name, value in vars(fields).items()
        if name.isupper() and isinstance(value, str) and name not in ("FINALIZER", "GPU_RESOURCE", "MIG_PREFIX")
    }
    assert constants == set(listed)


def test_times_are_read_as_they_are_written() -> None:
    assert seconds_of(text_of(1_767_225_600.9)) == 1_767_225_600
    assert seconds_of(micro_text_of(1_767_225_600.25)) == 1_767_225_600.25
    assert seconds_of("2026-01-01T01:00:00+01:00") == 1_767_225_600
    assert seconds_of(None) is None
