"""Placement quality on the openb lists: allocated GPU % at 100 % and 130 % of arrivals, mean of several seeds.

The lists are public and not part of this repository; the folder that holds them is looked for beside the checkout (../shared/data/openb)
or given with --openb. One worker, so that the time of a decision is honest.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from bench.rows import Row
from fairlead.model import Placement
from fairlead.simulator.inflation import Outcome, Setup, inflate, summary
from fairlead.simulator.openb import Arrival, read_nodes, read_pods

LISTS = ("default", "cpu050", "gpushare40", "gpuspec10", "multigpu20")
FIRST_SEED = 42
POLICIES: tuple[Placement, ...] = ("fit", "dense")


def rows(only: str, folder: Path, seeds: int) -> Iterator[Row]:
    """A row a list and policy, then the time of one decision."""
    if not (folder / "openb_node_list_gpu_node.csv").is_file():
        yield Row("placement.fit-default", (), "%", f"not measured: no openb lists in {folder}")
        return
    nodes = read_nodes(str(folder / "openb_node_list_gpu_node.csv"))
    per_decision: list[float] = []
    for name, pods, setups in _work(folder, seeds, only):
        begin = time.perf_counter()
        outcomes = [inflate(nodes, pods, setup, _quiet) for setup in setups]
        per_decision.append(1000 * (time.perf_counter() - begin) / sum(outcome.pods for outcome in outcomes))
        yield _row(name, outcomes)
    if per_decision:
        yield Row(
            "placement.decision",
            (round(sum(per_decision) / len(per_decision), 3),),
            "ms",
            "all of an arrival: learning and figures too",
        )


def _work(folder: Path, seeds: int, only: str) -> Iterator[tuple[str, list[Arrival], list[Setup]]]:
    for policy in POLICIES:
        for name in LISTS:
            for moves in (0, 4) if (policy, name) == ("dense", "default") else (0,):
                row = f"placement.{policy}-{name}" + ("-moves" if moves else "")
                if only in row:
                    pods = read_pods(str(folder / f"openb_pod_list_{name}.csv"))
                    yield row, pods, [Setup(seed=FIRST_SEED + s, placement=policy, moves=moves) for s in range(seeds)]


def _row(name: str, outcomes: list[Outcome]) -> Row:
    means = summary(outcomes)
    figures = tuple(round(means[mark][0], 2) for mark in ("100", "130") if mark in means)
    spread = " / ".join(f"{means[mark][1]:.2f}" for mark in ("100", "130") if mark in means)
    moved = 1000 * sum(outcome.moves for outcome in outcomes) / sum(outcome.pods for outcome in outcomes)
    return Row(
        name, figures, "%", f"sd {spread}, {len(outcomes)} seeds" + (f", {moved:.1f} moves per 1,000" if moved else "")
    )


def _quiet(done: int, of: int) -> None:
    """The table is the only output."""
