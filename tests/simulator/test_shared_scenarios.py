"""The reference scenarios beside the checkout (../shared/scenarios): all hold but those in not_yet.txt; bad files are refused."""

from pathlib import Path

import pytest

from fairlead.simulator.check import judge
from fairlead.simulator.scenario import Refused, load

SHARED = Path(__file__).parents[3] / "shared" / "scenarios"
NOT_YET = {
    line.split("#")[0].strip(): line.partition("#")[2].strip()
    for line in (Path(__file__).parent / "not_yet.txt").read_text(encoding="utf-8").splitlines()
    if line.split("#")[0].strip()
}
FILES = sorted(file for folder in ("examples", "kai", "reports") for file in (SHARED / folder).glob("*.yaml"))
REFUSED = {
    "dup": (4, "the key queues is written twice"),
    "dur": (2, "`8 gpu`, a map of its amounts, or missing"),
    "frac": (5, "a part of one between 0 and 1"),
    "key": (2, 'a key must be text: write "1" in quotes'),
    "node": (5, "no node is called n2; did you mean n1?"),
    "orphan": (3, "no parent queue is called ai"),
    "pol": (2, "stale_grace: 60 is not a duration"),
    "state": (7, "bound|pipelined|running|releasing on NODE"),
    "sub": (5, "unknown key tolerance in pending.0.subgroups.x.pods.0; did you mean tolerations?"),
    "top": (4, "unknown key expct in the file; did you mean expect?"),
    "typo": (5, "unknown key quue in pending.0; did you mean queue?"),
    "typo2": (3, "unknown key memry in nodes.n1; did you mean memory?"),
}
needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason=f"the reference scenarios are not here: no folder {SHARED}"
)


def name_of(file: Path) -> str:
    return f"{file.parent.name}/{file.stem}"


@needs_shared
@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_reference_scenario_holds_unless_it_is_listed_as_not_yet(file: Path) -> None:
    failures, error, _ = judge(load(file))
    what = "\n".join(failures) or error
    if name_of(file) in NOT_YET:
        assert what, f"{name_of(file)} holds now: take it off tests/simulator/not_yet.txt"
    else:
        assert not what, what


@needs_shared
def test_every_listed_file_exists_and_says_why() -> None:
    assert set(NOT_YET) <= {name_of(file) for file in FILES}
    assert all(NOT_YET.values())


@needs_shared
@pytest.mark.parametrize("file", sorted((SHARED / "refused").glob("*.yaml")), ids=name_of)
def test_a_bad_file_is_refused_at_its_line_with_the_right_hint(file: Path) -> None:
    with pytest.raises(Refused) as refused:
        load(file)
    line, says = REFUSED[file.stem]
    assert refused.value.line == line
    assert says in refused.value.expectation
