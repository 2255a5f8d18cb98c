"""Facts files and fairlead.yaml: what is read, and what is refused with its place and the nearest word."""

from __future__ import annotations

import pytest

from fairlead.preflight.config import config_from
from fairlead.preflight.explain import example, explained
from fairlead.preflight.facts import Missing, Unknown, facts_from, facts_of, leaves
from fairlead.runtime.errors import Invalid, NotFound


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nodes: [{nmae: n1}]", "unknown key nodes[0].nmae; did you mean name?"),
        ("egress: {product_images: {dns: ok}}", "unknown key egress.product_images; did you mean product-images?"),
        ("nodes: [{name: n1, ready: maybe}]", 'nodes[0].ready is "maybe", expected true or false'),
        ("server: {git_version: 1.2}", "server.git_version is 1.2, expected text"),
        ("clock: {n1: 3}", "clock.n1 is 3, expected a map"),
        ("nodes: {n1: {}}", "nodes is a map, expected a list"),
        ("crds: [1.5]", "crds[0] is 1.5, expected text"),
        ("nodes: [{name: n1, ready: null}]", "nodes[0].ready is null, expected true or false"),
        ("facts_version: 2", "facts_version 2 was written by a newer program"),
        ("- 1", "expected a map of keys, found a list"),
        ("a: [", "Expected YAML or JSON"),
        ("{", "Expected YAML or JSON"),
    ],
)
def test_what_is_wrong_in_a_facts_file_is_told_with_its_place(text: str, told: str) -> None:
    with pytest.raises(Invalid) as refused:
        facts_from(text, "facts.yaml")
    assert told in str(refused.value)
    assert "facts.yaml" in str(refused.value)


def test_every_wrong_key_is_told_at_once() -> None:
    with pytest.raises(Invalid, match=r"unknown key a.*unknown key b"):
        facts_of({"a": 1, "b": 2})


@pytest.mark.parametrize(
    "text",
    ['{"server": {"git_version": "v1.27.3"}}', "server: {git_version: v1.27.3}", "{server: {git_version: v1.27.3}}"],
)
def test_facts_are_read_from_json_and_yaml(text: str) -> None:
    assert facts_from(text).text("server", "git_version") == "v1.27.3"


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("nodes: [{name: 7, allocatable: {cpu: 3920m, memory: 7.5Gi}}]", {"cpu": 3.92, "memory": 8053063680}),
        ('nodes: [{name: "7", allocatable: {cpu: "4", memory: 8k}}]', {"cpu": 4, "memory": 8000}),
    ],
)
def test_amounts_may_be_written_as_kubernetes_writes_them(written: str, means: dict[str, float]) -> None:
    (node,) = facts_from(written).items("nodes")
    assert (node.text("name"), node.need("allocatable")) == ("7", means)


def test_labels_and_values_of_taints_may_be_written_without_quotes() -> None:
    written = "nodes: [{name: n1, labels: {nvidia.com/gpu.count: 2, x: true}, taints: [{key: a, value: true, effect: NoSchedule}]}]"
    (node,) = facts_from(written).items("nodes")
    assert node.need("labels") == {"nvidia.com/gpu.count": "2", "x": "true"}
    assert node.text("taints", 0, "value") == "true"


def test_an_amount_that_is_none_is_refused() -> None:
    with pytest.raises(Invalid, match=r'nodes\[0\].allocatable.cpu is "many", expected number'):
        facts_from("nodes: [{name: n1, allocatable: {cpu: many}}]")


def test_free_keys_may_be_anything_and_null_is_a_value_where_the_table_says_so() -> None:
    facts = facts_from(
        'nodes: [{name: n1, driver: null, labels: {any.example/thing: "1"}}]\nstorage_classes: [{created: 2026-01-01}]'
    )
    assert facts.known("nodes", 0, "driver")
    assert facts.get("nodes", 0, "driver") is None
    assert facts.text("nodes", 0, "labels", "any.example/thing") == "1"
    assert facts.text("storage_classes", 0, "created") == "2026-01-01"


def test_what_is_absent_is_unknown_and_says_so() -> None:
    facts = facts_of({"nodes": [{"name": "n1", "ready": {"unknown": "late"}}]})
    assert facts.get("server", "git_version") == Unknown("not gathered: server")
    assert facts.why("nodes", 0, "ready") == "late"
    assert facts.why("nodes", 0, "arch") == "not gathered: nodes[].arch (amd64, arm64 ...)"
    with pytest.raises(Missing, match="late"):
        facts.flag("nodes", 0, "ready")
    with pytest.raises(TypeError, match="late"):
        bool(facts.get("nodes", 0, "ready"))


def test_a_refused_list_is_the_reason_for_what_is_absent() -> None:
    facts = facts_of({"access": {"forbidden": ["list storageclasses"], "list_nodes": "ok"}})
    assert facts.why("storage_classes") == "forbidden: list storageclasses"
    assert facts.why("nodes") == "not gathered: nodes"
    assert facts_of({"access": {"list_nodes": "timeout"}}).why("nodes") == "lists of the API server: timeout"


def test_leaves_are_all_values_and_empty_parts() -> None:
    found = dict(leaves({"a": {"b": 1, "c": {"unknown": "x"}}, "d": [2, {}]}))
    assert found == {("a", "b"): 1, ("a", "c"): {"unknown": "x"}, ("d", 0): 2, ("d", 1): {}}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("registry: {hots: a}", "unknown key registry.hots; did you mean host?"),
        ("prox: {}", "unknown key prox; did you mean proxy?"),
        ("prometheus: {mode: operated}", "prometheus.mode"),
        ("production: maybe", "production"),
        ("system_nodes: {cpu: many}", "system_nodes.cpu"),
        ("accept: {clock-skew: 1}", "accept"),
    ],
)
def test_what_is_wrong_in_the_configuration_is_told_with_its_place(text: str, told: str) -> None:
    with pytest.raises(Invalid) as refused:
        config_from(text)
    assert told in str(refused.value)


def test_sections_that_are_empty_and_other_spellings_are_read() -> None:
    config = config_from(
        "registry:\nstorage: {class: fast}\npodSecurityPolicy: true\nregistry_: null".replace("registry_: null", "")
    )
    assert config.storage.class_ == "fast"
    assert config.pod_security_policy is True
    assert config.registry.host


def test_the_example_is_the_usual_configuration_when_its_comments_are_taken_off() -> None:
    bare = "\n".join(line.removeprefix("# ") for line in example().splitlines()[1:])
    assert config_from(bare) == config_from("")
    assert config_from(example()) == config_from("")


def test_a_key_is_explained_alone_and_with_those_below_it() -> None:
    assert [key.path for key in explained("proxy.https")] == ["proxy.https"]
    assert len(explained("proxy")) == 4
    with pytest.raises(NotFound, match=r"did you mean proxy\?"):
        explained("prxy")
