"""What a file says becomes values of the model: defaults, short forms, ranges, nearest wins."""

import pytest
from tests.simulator.build import a_scenario

from fairlead.model import UNLIMITED, Action
from fairlead.simulator.scenario import Refused, loads


def test_a_short_node_has_the_defaults_of_the_format() -> None:
    node = a_scenario(base="title: x\nnodes: {n1: 8 gpu}\nqueues: {ai: 1}\n").nodes[0]
    amounts = dict(node.allocatable)
    assert (amounts["gpu"], amounts["cpu"], amounts["memory"], amounts["pods"]) == (8000, 64_000, 512 << 30, 110)
    assert node.labels == (("kubernetes.io/hostname", "n1"),)


def test_labels_of_a_range_of_nodes_are_handed_out_one_by_one() -> None:
    found = a_scenario(base='title: x\nnodes: {"n[0-3]": {gpu: 1, labels: {rack: "r[0-1]*2"}}}\nqueues: {ai: 1}\n')
    assert [dict(node.labels)["rack"] for node in found.nodes] == ["r0", "r0", "r1", "r1"]


def test_mixed_mig_offers_instances_and_no_whole_gpus() -> None:
    node = a_scenario(base="title: x\nnodes: {n1: {gpu: 1, mig: {1g.10gb: 7}}}\nqueues: {ai: 1}\n").nodes[0]
    amounts = dict(node.allocatable)
    assert node.mig == "mixed"
    assert amounts["nvidia.com/mig-1g.10gb"] == 7
    assert "gpu" not in amounts


def test_a_queue_number_is_its_guaranteed_gpus_and_the_rest_is_default() -> None:
    queue = a_scenario(base="title: x\nnodes: {n1: 8 gpu}\nqueues: {ai: 4, ai/b: {gpu: {limit: 2}}}\n").queues
    assert queue[0].deserved == (4000, UNLIMITED, UNLIMITED)
    assert queue[0].weight == (2.0, 2.0, 2.0)
    assert (queue[1].deserved[0], queue[1].limit[0], queue[1].parent) == (0, 2000, "ai")


def test_names_declared_missing_are_known_and_not_there() -> None:
    found = a_scenario(
        "pending: [{gang: t, queue: gone, gpu: 1, nominated: n9}]\n",
        base="title: x\nnodes: {n1: 8 gpu, n9: missing}\nqueues: {ai: 1, gone: missing}\n",
    )
    assert [str(node.name) for node in found.nodes] == ["n1"]
    assert [str(queue.name) for queue in found.queues] == ["ai"]


def test_the_nearest_pod_key_holds_whole() -> None:
    found = a_scenario(
        "pending:\n- {gang: t, queue: ai, gpu: 1, node_selector: {x: y, z: w}, pods: [{}, {gpu: 2, node_selector: {x: q}}]}\n"
    )
    first, second = found.gangs[0].pods
    assert (first.ask.klass.gpu.devices, second.ask.klass.gpu.devices) == (1, 2)
    assert second.ask.klass.rule.selector == (("x", "q"),)


def test_gpu_memory_on_a_pod_replaces_gpu_on_its_gang() -> None:
    found = a_scenario("pending: [{gang: t, queue: ai, gpu: 1, pods: [{gpu_memory: 20Gi}]}]\n")
    gpu = found.gangs[0].pods[0].ask.klass.gpu
    assert (gpu.devices, gpu.portion_milli, gpu.memory_mib) == (1, 0, 20480)


def test_queues_are_handed_out_to_gangs_and_nodes_to_pods() -> None:
    found = a_scenario(
        'running: [{gang: "v[0-3]", queue: "q[0-1]", gpu: 1, pods: 2, node: "n[1-2]*2"}]\n',
        base='title: x\nnodes: {"n[1-2]": 8 gpu}\nqueues: {"q[0-1]": 8}\n',
    )
    assert [gang.queue for gang in found.gangs] == ["q0", "q1", "q0", "q1"]
    assert [pod.node for gang in found.gangs for pod in gang.pods] == ["n1", "n1", "n2", "n2"] * 2


def test_pods_are_counted_through_the_gang_unless_named() -> None:
    found = a_scenario("pending: [{gang: t, queue: ai, pods: [{count: 2}, {name: lead}, {}]}]\n")
    assert [pod.name for pod in found.gangs[0].pods] == ["t-0", "t-1", "lead", "t-3"]
    assert found.gangs[0].subgroups[0].minimum == 4


def test_equal_requests_share_one_class() -> None:
    found = a_scenario('pending: [{gang: "t[0-99]", queue: ai, gpu: 1}]\n')
    assert len({id(pod.ask.klass) for gang in found.gangs for pod in gang.pods}) == 1


def test_only_labels_that_some_pod_term_mentions_are_kept() -> None:
    term = "pod_anti_affinity: [{match: app=db, topology_key: kubernetes.io/hostname}]"
    found = a_scenario(f"pending: [{{gang: t, queue: ai, labels: {{app: db, job: x1}}, {term}}}]\n")
    assert found.gangs[0].pods[0].ask.klass.labels == (("app", "db"),)


def test_subgroups_make_a_tree_with_parents_first() -> None:
    found = a_scenario("pending: [{gang: t, queue: ai, subgroups: {b: {subgroups: {c: {pods: 2}, a: {}}}}}]\n")
    assert [(sub.name, sub.parent, sub.leaf) for sub in found.gangs[0].subgroups] == [
        ("b", "", False),
        ("c", "b", True),
        ("a", "b", True),
    ]


def test_spreading_turns_consolidation_off_unless_it_is_named() -> None:
    assert Action.CONSOLIDATE not in a_scenario("policy: {placement: spread}\n").policy.actions
    named = a_scenario("policy: {placement: spread, actions: [consolidate]}\n").policy
    assert named.actions == (Action.CONSOLIDATE,)


def test_priority_decides_preemptibility_where_nothing_is_said() -> None:
    found = a_scenario(
        "pending: [{gang: a, queue: ai, priority: build}, {gang: b, queue: ai}, {gang: c, queue: ai, priority: 100, preemptible: true}]\n"
    )
    assert [(gang.priority, gang.preemptible) for gang in found.gangs] == [(100, False), (50, True), (100, True)]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("pending: [{gang: a, queue: ai, gpu: 1.5}]", 4, "part of one between 0 and 1"),
        ("pending: [{gang: a, queue: ai, gpu: 0.00001}]", 4, "part of one between 0 and 1"),
        ("pending: [{gang: a, queue: ai, gpu: 1e400}]", 4, "a whole number of devices"),
        ("pending: [{gang: a, queue: ai, cpu: 1e400}]", 4, "at most 1e+18"),
        ("pending: [{gang: a, queue: ai, pods: 100000000}]", 4, "at most 100000"),
        ("pending: [{gang: a, queue: ia}]", 4, "did you mean ai?"),
        ("pending:\n- {gang: a, queue: ai}\n- {gang: a, queue: ai}", 6, "two gangs are called a"),
        ("pending: [{gang: a, queue: ai}, {gang: a-0, queue: ai}]", 1, "names a gang and a pod"),
        ("running: [{gang: a, queue: ai, gpu: 1}]", 4, "needs a node"),
        ("pending: [{gang: a, queue: ai, topology: {required: rack}}]", 4, "name the topology"),
        ("pending: [{gang: a, queue: ai, min: 1, subgroups: {x: {}}}]", 4, "no min of its own"),
        ("pending: [{gang: a, queue: ai, node_affinity: 'a in'}]", 4, "not a selector"),
        ("expect:\n  state:\n    b: pending", 6, "no gang or pod is called b"),
        ("expect:\n  plan: [bind a to n1]", 5, "is not a command"),
        ("cycles: 0", 4, "1 or more"),
        ("policy: {k_value: -1}", 4, "0 or more"),
        ("policy: {actions: [alocate]}", 4, "did you mean allocate?"),
        ("claims: {c: {queue: other}}", 4, "no queue is called other"),
        ("pending: [{gang: a, queue: ai, claims: [c1]}]", 4, "no claim is called c1"),
        ("tags: [Big]", 4, "a tag"),
        ("pending: [{gang: a, queue: ai, gpu: 1, gpu_memory: 1Gi}]", 4, "not both"),
        ("pending: [{gang: a, queue: ai, pods: [{count: 0}]}]", 4, "1 or more"),
        ('pending: [{gang: "a[0-999999999]", queue: ai}]', 4, "stands for 1000000000 names"),
        ('pending: [{gang: "a[9-1]", queue: ai}]', 4, "a range goes upwards"),
        ("pending: [{gang: a, queue: ai}]\nexpect:\n  state:\n    a: bound to n1", 7, "did you mean bound on n1?"),
        ("pending: [{gang: a, queue: ai}]\nexpect:\n  state:\n    a: pendig", 7, "did you mean pending?"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_line_and_reason(text: str, line: int, says: str) -> None:
    with pytest.raises(Refused) as refused:
        a_scenario(text)
    assert says in refused.value.expectation
    assert (refused.value.file, refused.value.line) == ("test.yaml", line)


def test_a_list_is_no_scenario() -> None:
    with pytest.raises(Refused, match="the file: a map"):
        loads("[1]")


def test_text_nested_without_end_is_refused_and_no_crash() -> None:
    with pytest.raises(Refused, match="nest"):
        loads("a: " + "[" * 5000 + "]" * 5000)


def test_a_queue_without_its_parent_is_not_offered_its_own_child() -> None:
    with pytest.raises(Refused, match="no parent queue is called ai; add it as ai: unlimited"):
        a_scenario(base="title: x\nnodes: {n1: 8 gpu}\nqueues: {ai/nlp: 8}\n")
