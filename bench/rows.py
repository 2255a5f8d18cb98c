"""One row of the table, its bound, and how rows are measured and printed."""

from __future__ import annotations

import statistics
import time
import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
WARM_UP, MEASURED = 1, 5


@dataclass(frozen=True)
class Row:
    """One measured figure. `figures` holds several where a bound is a list; `note` says what was not measured or why."""

    name: str
    figures: tuple[float, ...]
    unit: str
    note: str = ""


def bounds() -> dict[str, dict[str, Any]]:
    """Every bound by row name, such as `decide.allocate-10x50`."""
    sections = tomllib.loads((HERE / "bounds.toml").read_text(encoding="utf-8"))
    return {f"{section}.{name}": bound for section, rows in sections.items() for name, bound in rows.items()}


def median_ms(work: Callable[[], object]) -> float:
    """Median of five runs after a warm-up."""
    seconds = []
    for turn in range(WARM_UP + MEASURED):
        begin = time.perf_counter()
        work()
        if turn >= WARM_UP:
            seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds) * 1000


def judged(row: Row, bound: dict[str, Any]) -> dict[str, Any]:
    """The row with its bound, whether it holds, and the ratio to the peer (above 1 = better than the peer)."""
    most, least = bound.get("at_most"), bound.get("at_least")
    ok = None
    if row.figures and most is not None:
        ok = row.figures[0] <= most
    elif row.figures and least is not None:
        ok = all(figure >= floor for figure, floor in zip(row.figures, least, strict=True))
    return {
        **asdict(row),
        "bound": most if most is not None else least,
        "ok": ok,
        "ratio": _ratio(row, bound),
        "source": bound.get("source", ""),
    }


def _ratio(row: Row, bound: dict[str, Any]) -> float | None:
    peer = bound.get("peer")
    if not row.figures or peer is None:
        return None
    if isinstance(peer, list):
        return round(row.figures[0] / float(peer[0]), 4)
    return round(float(peer) / row.figures[0], 1)


HEADER = f"{'work':<32} {'ours':>16} {'bound':>16} {'peer ratio':>10}  ok"


def line(row: dict[str, Any]) -> str:
    """A judged row for people, under `HEADER`."""
    ours = " / ".join(f"{figure:.2f}" for figure in row["figures"]) or "-"
    bound = row["bound"]
    shown = "-" if bound is None else " / ".join(f"{b:g}" for b in bound) if isinstance(bound, list) else f"{bound:g}"
    ok = {True: "yes", False: "NO", None: "-"}[row["ok"]]
    ratio = "-" if row["ratio"] is None else f"{row['ratio']:g}"
    text = f"{row['name']:<32} {ours + ' ' + row['unit']:>16} {shown:>16} {ratio:>10}  {ok}  {row['note']}"
    return text.rstrip()
