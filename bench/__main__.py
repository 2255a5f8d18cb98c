"""`python -m bench`: the whole table, or the rows whose name contains --only."""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Iterator
from pathlib import Path

from bench import decisions, endtoend, listed, pages, placement, plain, product, scale
from bench.rows import HEADER, HERE, Row, bounds, judged, line


def main() -> int:
    """Measures, prints, writes; exit 1 when a measured row misses its bound."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--only", default="", help="rows whose name contains this word, such as decide, large-gang or placement.fit"
    )
    parser.add_argument("--seeds", type=int, default=10, help="seeds of the placement rows")
    parser.add_argument(
        "--openb", type=Path, default=HERE.parent.parent / "shared" / "data" / "openb", help="folder of the openb lists"
    )
    options = parser.parse_args()
    known, done = bounds(), []
    print(HEADER, flush=True)
    for row in _rows(options):
        done.append(judged(row, known.get(row.name, {})))
        print(line(done[-1]), flush=True)
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    machine = {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system()}
    file = results / f"{stamp}.json"
    file.write_text(json.dumps({"at": stamp, **machine, "rows": done}, indent=1), encoding="utf-8")
    print(f"written to {file}")
    return int(any(row["ok"] is False for row in done))


def _rows(options: argparse.Namespace) -> Iterator[Row]:
    yield from decisions.rows(options.only)
    yield from scale.rows(options.only)
    yield from listed.rows(options.only)
    yield from endtoend.rows(options.only)
    yield from product.rows(options.only)
    yield from pages.rows(options.only)
    yield from plain.rows(options.only, options.seeds)
    yield from placement.rows(options.only, options.openb, options.seeds)


if __name__ == "__main__":
    raise SystemExit(main())
