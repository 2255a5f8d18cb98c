"""The tables of preflight fit each other: requirements, checks, causes, facts, configuration, pages."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.preflight.casefile import ours

from fairlead.preflight.check import DISABLES, judged
from fairlead.preflight.checks import BY_CODE, CHECKS
from fairlead.preflight.checks.system_nodes import REQUESTED_CPU, REQUESTED_MEMORY_BYTES
from fairlead.preflight.config import Config, config_keys
from fairlead.preflight.facts import Facts, Step
from fairlead.preflight.keys import KEYS
from fairlead.preflight.rows import ROWS

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
SHARED = ROOT.parent / "shared"
_EVERYBODY = ("nodes", "access", "run")
"""Facts that every check may look at: which nodes there are, why something is missing, whether it is before or after the installation."""


def test_every_requirement_has_a_check_and_every_check_a_requirement() -> None:
    assert {check.row for check in CHECKS} == set(ROWS)
    assert len(BY_CODE) == len(CHECKS)


@pytest.mark.skipif(
    not (SHARED / "mission.md").is_file(), reason=f"the mission is not here: no file {SHARED / 'mission.md'}"
)
def test_requirements_go_by_the_names_of_the_mission() -> None:
    table = (SHARED / "mission.md").read_text(encoding="utf-8").split("| row |")[1].split("\n## ")[0]
    named = [line.split("|")[1].strip() for line in table.splitlines()[2:] if line.startswith("|")]
    assert named == list(ROWS)


def test_every_check_has_its_page_and_every_cause_is_explained_there() -> None:
    table = (REFERENCE / "prerequisites.md").read_text(encoding="utf-8")
    for check in CHECKS:
        page = (ROOT / check.page()).read_text(encoding="utf-8")
        for cause in check.causes:
            file, _, anchor = check.page(cause).partition("#")
            assert file == check.page()
            assert f"<a id='{anchor}'></a>" in page
        assert f"(findings/{check.code}.md)" in table
        text = inspect.getdoc(check.judge) or ""
        listed = [word for line in re.findall(r"^- ([\w, -]+):", text, re.M) for word in line.split(", ")]
        assert set(check.causes) <= set(listed), check.code
        assert set(listed) <= set(check.causes), check.code


def test_what_a_finding_takes_away_is_said_in_fixed_words() -> None:
    for check in CHECKS:
        assert set(check.disables) <= set(DISABLES), check.code


def test_what_a_check_needs_is_in_the_table_of_facts() -> None:
    paths = [key.path for key in KEYS]
    assert len(set(paths)) == len(paths)
    for check in CHECKS:
        for need in check.needs:
            concrete = re.sub(r"egress\.[a-z-]+", "egress.<way>", need)
            assert any(path == concrete or path.startswith((f"{concrete}.", f"{concrete}[")) for path in paths), need


def test_a_check_reads_only_what_it_says_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    read: dict[str, set[str]] = defaultdict(set)
    now = [""]

    def recorded(method: Any) -> Any:
        def of(self: Facts, *steps: Step) -> Any:
            read[now[0]].add(_pattern((*self.path, *steps)))
            return method(self, *steps)

        return of

    def usual(method: Any) -> Any:
        def of(self: Facts, value: Any, *steps: Step) -> Any:
            read[now[0]].add(_pattern((*self.path, *steps)))
            return method(self, value, *steps)

        return of

    monkeypatch.setattr(Facts, "get", recorded(Facts.get))
    monkeypatch.setattr(Facts, "or_else", usual(Facts.or_else))
    for case in ours():
        for check in CHECKS:
            now[0] = check.code
            judged(check, case.facts, case.config)
    for check in CHECKS:
        needs = [need.replace("[]", "") for need in (*check.needs, *_EVERYBODY)]
        strange = {path for path in read[check.code] if not any(_within(path, need) for need in needs)}
        assert not strange, (check.code, strange)


def _pattern(path: tuple[Step, ...]) -> str:
    return ".".join(str(step) for step in path if not isinstance(step, int))


def _within(path: str, need: str) -> bool:
    """The path is what is needed, in it, or on the way to it."""
    return path == need or path.startswith(f"{need}.") or need.startswith(f"{path}.")


def test_keys_of_the_configuration_name_checks_and_values_that_there_are() -> None:
    schema = json.loads((ROOT / "deploy" / "chart" / "values.schema.json").read_text(encoding="utf-8"))
    for key in config_keys():
        assert key.meaning, key.path
        for code in key.checks:
            assert code in BY_CODE or code == "egress-*", key
        place = schema
        for step in filter(None, key.value.split(".")):
            assert step in place["properties"], key
            place = place["properties"][step]


def test_what_the_product_asks_for_on_system_nodes_is_what_the_chart_requests() -> None:
    from ruamel.yaml import YAML

    from fairlead.objects.quantity import milli, whole

    values = YAML(typ="safe").load((ROOT / "deploy" / "chart" / "values.yaml").read_text(encoding="utf-8"))
    roles = [values[name] for name in ("scheduler", "controllers", "admission", "agent")]
    cpu = sum(role["replicas"] * milli(role["resources"]["requests"]["cpu"]) for role in roles)
    memory = sum(role["replicas"] * whole(role["resources"]["requests"]["memory"]) for role in roles)
    assert cpu == REQUESTED_CPU * 1000
    assert memory == REQUESTED_MEMORY_BYTES


def test_the_usual_configuration_is_the_empty_file() -> None:
    from fairlead.preflight.config import config_from

    assert config_from("") == Config()


_NOT_GATHERED = {
    "run.left_out[]": "written with a file that is saved",
    "run.redacted": "the same",
    "run.anonymised": "the same",
    "access.exec_plugin": "the message names it",
    "psa.cluster_default_enforce": "no API tells it",
    "nodes[].reload_hazard": "it is in folders of the node that no pod without rights sees",
    "nodes[].oci_hooks[]": "the same",
    "egress.<way>.host_network": "the network of a node is for pods with more rights than a probe has",
    "egress.<way>.nodes.<node>.host_network": "the same",
    "egress.<way>.others.<host>.host_network": "the same",
    "egress.<way>.nodes.<node>.others.<host>.host_network": "the same",
    "proxy.environment.upper": "the chart gives pods one list",
    "proxy.environment.lower": "the same",
    "prometheus.url_given": "the configuration is asked",
    "prometheus.post_query": "we ask by GET",
    "prometheus.token_roles[]": "preflight has no right to read role bindings",
    "metrics.scrape_interval_seconds": "the usual one is taken",
    "control_plane.cluster_id_in_use": "a hello would take the place of the agent that is connected",
    "shared_volume_trial.root_only": "no pod of the run may be root",
    "registry.manifest_from_probe_pod_with_ca_bundle": "probes trust ca_bundle always: manifest_from_probe_pod",
    "registry.tls_from_workstation_with_ca": "the registry is asked from pods, which is what counts",
}
"""Keys of the table that only whoever writes a file of facts can tell, or that other facts replace: key -> why nobody gathers it."""


def test_what_the_table_says_is_gathered_is_gathered_and_the_exceptions_say_why() -> None:
    """Each part of a key is a word of the program that gathers, or a field of what a probe sends: a name in a comment does not count."""
    words: set[str] = set()
    for file in (ROOT / "src" / "fairlead" / "preflight" / "gather").rglob("*.py"):
        words |= set(_words_of(ast.parse(file.read_text(encoding="utf-8"))))
    missing = {key.path for key in KEYS if not {*re.findall(r"(?:^|\.)(\w+)", key.path)} <= words}
    assert missing == set(_NOT_GATHERED)


def _words_of(tree: ast.AST) -> Iterator[str]:
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
