"""What `explain` says of work that does not wait for a place."""

from __future__ import annotations

from fairlead.server.services.explanations import settled
from fairlead.wire.rest.workloads import Workload


def _said(phase: str, message: str, *nodes: str) -> str:
    row = Workload.model_construct(
        name="job", phase=phase, phase_message=message, nodes=list(nodes), next_try_at=None, running_pods=0
    )
    found = settled(row)
    assert found is not None
    return str(found["message"])


def test_work_that_has_its_place_and_does_not_start_says_what_holds_it_up() -> None:
    assert _said("Initializing", "Starting on n1.", "n1") == "job has its place and is being started on n1."
    held_up = "The image x cannot be pulled: not found"
    assert _said("Initializing", held_up, "n1") == f"job has its place and is being started on n1. {held_up}."


def test_work_whose_pods_are_refused_says_by_whom() -> None:
    refused = "Its pods are refused: admission webhook denied the request"
    assert _said("Creating", refused) == f"job has no pods yet. {refused}."
