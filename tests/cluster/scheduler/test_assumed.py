"""What the scheduler did and its caches do not show yet."""

from __future__ import annotations

from msgspec.structs import replace

from fairlead.cluster.scheduler.assumed import UNCERTAIN_SECONDS, Assumed, Seen
from fairlead.model import GpuRequest, Hold, NodeName, Pod, PodGroup, PodStatus, QueueName, TaskClass, Uid

POD = Pod(
    uid=Uid("p"),
    namespace="ns",
    name="p",
    group=Uid("p"),
    klass=TaskClass(request=(), gpu=GpuRequest()),
    status=PodStatus.PENDING,
)
GROUP = PodGroup(uid=Uid("g"), namespace="ns", name="g", queue=QueueName("q"), priority=50, preemptible=True)
NODE = NodeName("n1")


def test_a_bound_pod_stands_on_its_node_until_the_cache_shows_it() -> None:
    assumed = Assumed()
    assumed.bind("p", NODE, ())
    assumed.forget({"p": Seen()}, now=1e9)
    assert (assumed.pod(POD).node, assumed.pod(POD).status) == ("n1", PodStatus.BOUND)
    assumed.forget({"p": Seen(is_placed=True)}, now=0)
    assert assumed.is_empty


def test_a_bind_without_an_answer_is_forgotten_after_a_while() -> None:
    assumed = Assumed()
    assumed.bind("p", NODE, (), until=UNCERTAIN_SECONDS)
    assumed.forget({"p": Seen()}, now=UNCERTAIN_SECONDS - 1)
    assert assumed.is_bound("p")
    assumed.forget({"p": Seen()}, now=UNCERTAIN_SECONDS)
    assert assumed.pod(POD) == POD


def test_an_evicted_pod_is_releasing_until_the_cache_shows_that_it_ends() -> None:
    assumed = Assumed()
    running = replace(POD, node=NODE, status=PodStatus.RUNNING)
    assumed.evict("p")
    assumed.forget({"p": Seen(is_placed=True)}, now=1e9)
    assert assumed.pod(running).status is PodStatus.RELEASING
    assumed.forget({"p": Seen(is_placed=True, is_ending=True)}, now=0)
    assert assumed.pod(running) == running


def test_a_promise_holds_until_the_cache_shows_it_or_its_time_is_up() -> None:
    hold = Hold(places=((Uid("p"), NODE, ()),), victims=(), deadline=100.0)
    assumed = Assumed()
    assumed.keep("g", hold, now=0)
    assumed.forget({"g": Seen(hold=None)}, now=99)
    assert assumed.group(GROUP).hold == hold
    assumed.forget({"g": Seen(hold=None)}, now=100)
    assert assumed.group(GROUP).hold is None
    assumed.keep("g", hold, now=0)
    assumed.forget({"g": Seen(hold=hold)}, now=0)
    assert assumed.is_empty


def test_a_promise_taken_back_is_not_read_from_an_old_cache() -> None:
    hold = Hold(places=(), victims=(), deadline=100.0)
    assumed = Assumed()
    assumed.keep("g", None, now=0)
    assert assumed.group(replace(GROUP, hold=hold)).hold is None


def test_nothing_is_kept_of_what_is_gone() -> None:
    assumed = Assumed()
    assumed.bind("p", NODE, ())
    assumed.evict("q")
    assumed.keep("g", None, now=0)
    assumed.forget({}, now=0)
    assert assumed.is_empty
