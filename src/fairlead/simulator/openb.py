"""The openb trace: node and pod lists, and the arrivals of the inflation experiment.

Arrivals: the list sorted by name and shuffled, then pods drawn with replacement until the GPU request reaches a multiple of the capacity.
Source: "Beware of Fragmentation" (USENIX ATC 2023) and its published lists.
"""

import csv
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from fairlead.model import GpuRequest, Node, NodeName, NodeRule, TaskClass

MODEL: Final = "nvidia.com/gpu.product"
"""Node label that a `gpu_spec` selects on."""
_MIB: Final = 1 << 20
_LINE: Final = "\n"
"""Key of a row's line in its file: no column is called that."""
_PODS: Final = 1 << 20
"""The experiment counts no pod slots."""


class TraceError(ValueError):
    """A list that cannot be read: which file, what was expected."""


class Arrival(Struct, frozen=True):
    """One pod of a list. `models` empty = any."""

    name: str
    klass: TaskClass
    cpu: int
    memory_mib: int
    gpus: int
    milli: int
    models: tuple[str, ...]

    @property
    def asked(self) -> int:
        """GPU milli it asks for."""
        return self.gpus * self.milli


def read_nodes(path: str) -> list[Node]:
    """The nodes of a list, as the model has them.  Raises: TraceError."""
    out = []
    for row in _rows(path, ("sn", "cpu_milli", "memory_mib", "gpu", "model")):
        gpus = _figure(path, row, "gpu")
        amounts = {
            "cpu": _figure(path, row, "cpu_milli"),
            "gpu": gpus * 1000,
            "memory": _figure(path, row, "memory_mib") * _MIB,
            "pods": _PODS,
        }
        out.append(
            Node(
                name=NodeName(row["sn"]),
                allocatable=tuple(sorted(amounts.items())),
                gpus=gpus,
                gpu_model=row["model"],
                gpu_source="device-plugin" if gpus else "none",
                labels=((MODEL, row["model"]),) if row["model"] else (),
            )
        )
    return out


def read_pods(path: str) -> list[Arrival]:
    """The pods of a list by name; equal requests share one class.  Raises: TraceError."""
    seen: dict[tuple[object, ...], TaskClass] = {}
    out = []
    for row in _rows(path, ("name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli")):
        cpu, memory, gpus = (_figure(path, row, column) for column in ("cpu_milli", "memory_mib", "num_gpu"))
        milli = (_figure(path, row, "gpu_milli") if gpus == 1 else 1000) if gpus else 0
        models = tuple(sorted(part for part in (row.get("gpu_spec") or "").split("|") if part))
        key = (cpu, memory, gpus, milli, models)
        klass = seen.setdefault(key, _class(*key))
        out.append(Arrival(row["name"], klass, cpu, memory, gpus, milli, models))
    return sorted(out, key=lambda pod: pod.name)


def arrivals(pods: Sequence[Arrival], capacity: int, seed: int, inflate: float) -> list[Arrival]:
    """The list in random order, drawn from again (or cut) until its GPU request reaches `inflate` times the capacity (milli)."""
    draw = random.Random(seed)
    order = list(pods)
    draw.shuffle(order)
    target = capacity * inflate
    total = sum(pod.asked for pod in order)
    while total > target:
        total -= order.pop(draw.randrange(len(order))).asked
    while total < target and any(pod.asked for pod in pods):
        pod = pods[draw.randrange(len(pods))]
        order.append(pod)
        total += pod.asked
    return order


def _class(cpu: int, memory: int, gpus: int, milli: int, models: tuple[str, ...]) -> TaskClass:
    amounts = {"cpu": cpu, "memory": memory * _MIB, "pods": 1}
    return TaskClass(
        request=tuple(sorted((name, amount) for name, amount in amounts.items() if amount)),
        gpu=GpuRequest(devices=gpus, portion_milli=milli),
        rule=NodeRule(affinity=(((MODEL, "In", models),),)) if models else NodeRule(),
    )


def _rows(path: str, columns: Sequence[str]) -> list[dict[str, str]]:
    try:
        with Path(path).open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, restval="")
            rows = [{**row, _LINE: str(reader.line_num)} for row in reader]
    except (OSError, UnicodeDecodeError) as error:
        raise TraceError(f"{path}: cannot be read ({error}); expected a CSV file of the openb trace") from None
    missing = [name for name in columns if not rows or name not in rows[0]]
    if missing:
        raise TraceError(
            f"{path}: no rows, or no column {', '.join(missing)}; expected the columns {', '.join(columns)}"
        )
    return rows


def _figure(path: str, row: dict[str, str], column: str) -> int:
    """The figure in that column.  Raises: TraceError naming file and line."""
    text = row[column]
    if not text.isascii() or not text.isdigit():
        raise TraceError(f"{path}, line {row[_LINE]}: {column} is {text!r}; expected a whole number, 0 or more")
    return int(text)
