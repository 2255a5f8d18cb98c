"""An explanation as the API gives it."""

from __future__ import annotations

import json

from tests.build import GIB, a_class, a_cluster, a_gang, a_node, a_queue

from fairlead.cluster.scheduler.explained import to_json
from fairlead.model import Policy, Uid
from fairlead.scheduling.explain import explain


def test_a_request_larger_than_every_node_is_said_with_the_gpus_in_use_and_the_fix_says_that_room_is_waited_for() -> (
    None
):
    busy = a_gang("r", "q", a_class(8), on="n1", priority=125)
    asks = a_gang("t", "q", a_class(1, memory=900 * GIB))
    snapshot = a_cluster([a_node("n1")], [a_queue("q", 8)], [busy, asks])
    found = json.loads(to_json(explain(snapshot, Policy(), 1_000_000.0, Uid("t")), snapshot))
    said = [reason["message"] for reason in found["reasons"]]
    assert "No node is large enough: needs 900 GiB of memory, the largest has 512 GiB of memory" in said
    assert "No node has room: needs 1 GPU, 0 GPUs left (1 node)" in said
    (less,) = [fix["text"] for fix in found["fixes"] if fix["kind"] == "ask-less"]
    assert less.startswith("Ask for 512 GiB of memory (now 900 GiB of memory) a pod; then it waits for room")
