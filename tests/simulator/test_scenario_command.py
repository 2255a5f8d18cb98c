"""`fairlead scenario` and `fairlead simulate`: what they print and how they end."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from fairlead.cli.scenario import scenario
from fairlead.cli.simulate import simulate

GOOD = "title: good\ntags: [a]\nnodes: {n1: 8 gpu}\nqueues: {ai: 8}\n"
GOOD += "pending: [{gang: t, queue: ai, gpu: 1}]\nexpect: {plan: [bind t on n1]}\n"
BAD = GOOD.replace("bind t on n1", "evict t").replace("good", "bad")
BROKEN = "title: broken\nnodes: {n1: 8 gpus}\nqueues: {ai: 8}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "sub" / "b.yaml").write_text(BAD)
    (tmp_path / "sub" / "c.yaml").write_text(BROKEN)
    (tmp_path / "notes.txt").write_text("not a scenario")
    return tmp_path


def test_check_walks_folders_and_a_broken_file_is_a_row_and_no_crash(folder: Path) -> None:
    done = CliRunner().invoke(scenario, ["check", str(folder), "-o", "json"])
    data = json.loads(done.stdout)
    assert done.exit_code == 1
    assert (data["files"], data["passed"], data["failed"], data["errors"]) == (3, 1, 1, 1)
    good, bad, broken = data["results"]
    assert set(good) == {"file", "title", "tags", "passed", "failures", "error", "seconds"}
    assert (good["title"], good["tags"], good["passed"], good["failures"], good["error"]) == (
        "good",
        ["a"],
        True,
        [],
        None,
    )
    assert bad["failures"][0].startswith("plan: expected `evict t`, it did not come")
    assert (
        broken["error"]
        == f"{folder}/sub/c.yaml:2: nodes.n1: '8 gpus' is not a node: `8 gpu`, a map of its amounts, or missing"
    )
    assert set(good["seconds"]) == {"load", "decide"}


def test_check_of_what_holds_ends_with_zero_and_says_so(folder: Path) -> None:
    done = CliRunner().invoke(scenario, ["check", str(folder / "a.yaml")])
    assert done.exit_code == 0
    assert "1 of 1 hold" in done.stdout


def test_the_table_names_what_did_not_hold(folder: Path) -> None:
    done = CliRunner().invoke(scenario, ["check", str(folder)])
    assert "FAILED" in done.stdout
    assert "1 of 3 hold, 1 failed, 1 with errors" in done.stdout
    assert "a.yaml" not in done.stdout


def test_a_file_that_is_not_there_is_an_error_row(tmp_path: Path) -> None:
    done = CliRunner().invoke(scenario, ["check", str(tmp_path / "none.yaml"), "-o", "json"])
    assert done.exit_code == 1
    assert "cannot be read" in json.loads(done.stdout)["results"][0]["error"]


def test_an_empty_folder_is_wrong_use(tmp_path: Path) -> None:
    done = CliRunner().invoke(scenario, ["check", str(tmp_path)])
    assert done.exit_code == 2
    assert "name a file" in done.stderr


def test_run_prints_plan_state_shares_and_reasons(folder: Path) -> None:
    done = CliRunner().invoke(scenario, ["run", str(folder / "a.yaml"), "-o", "json"])
    data = json.loads(done.stdout)
    assert data["plan"] == ["bind t-0 on n1"]
    assert data["state"] == {"t": {"bound on n1": 1}}
    assert data["fair_share"]["ai"]["gpu"] == 1
    assert data["reasons"] == {}
    assert set(data["seconds"]) == {"load", "decide"}


def test_run_tells_why_a_gang_waits(folder: Path) -> None:
    (folder / "w.yaml").write_text(GOOD.replace("{ai: 8}", "{ai: {gpu: {deserved: 0, limit: 0}}}"))
    done = CliRunner().invoke(scenario, ["run", str(folder / "w.yaml"), "-o", "yaml", "--cycles", "2"])
    data = yaml.safe_load(done.stdout)
    assert data["cycles"] == 2
    assert data["reasons"]["t"][0]["code"] == "OverLimit"
    assert "limit is 0" in data["reasons"]["t"][0]["message"]


def test_run_of_a_broken_file_says_where(folder: Path) -> None:
    done = CliRunner().invoke(scenario, ["run", str(folder / "sub" / "c.yaml")])
    assert done.exit_code == 1
    assert "c.yaml:2:" in done.stderr


def test_run_of_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    assert CliRunner().invoke(scenario, ["run", str(tmp_path / "none.yaml")]).exit_code == 3


def test_names_only_can_be_printed(folder: Path) -> None:
    file = str(folder / "a.yaml")
    assert CliRunner().invoke(scenario, ["check", file, "-o", "name"]).stdout.split() == [file]
    assert CliRunner().invoke(scenario, ["run", file, "-o", "name"]).stdout.split() == ["t"]


def test_run_shows_people_what_happens(folder: Path) -> None:
    done = CliRunner().invoke(scenario, ["run", str(folder / "a.yaml")])
    assert "bind t-0 on n1" in done.stdout
    assert "t: bound on n1" in done.stdout


@pytest.fixture
def lists(tmp_path: Path) -> list[str]:
    (tmp_path / "n.csv").write_text("sn,cpu_milli,memory_mib,gpu,model\na,64000,262144,8,X\n")
    (tmp_path / "p.csv").write_text("name,cpu_milli,memory_mib,num_gpu,gpu_milli\nx,1000,1024,1,500\n")
    return ["openb", "--nodes", str(tmp_path / "n.csv"), "--pods", str(tmp_path / "p.csv")]


def test_openb_prints_the_figures_of_the_experiment(lists: list[str]) -> None:
    done = CliRunner().invoke(simulate, [*lists, "-o", "json", "--seed", "43"])
    data = json.loads(done.stdout)
    assert done.exit_code == 0
    assert {"seed", "pods", "placed", "allocated_pct", "frag_pct", "gpu_seconds_moved", "seconds"} <= set(data)
    assert (data["seed"], data["placed"], data["allocated_pct"]["100"]) == (43, 16, 100.0)


def test_openb_prints_a_table_for_people(lists: list[str]) -> None:
    done = CliRunner().invoke(simulate, lists)
    assert "16 of 21 pods placed" in done.stdout
    assert "allocated %" in done.stdout


def test_openb_says_which_list_is_missing(lists: list[str]) -> None:
    done = CliRunner().invoke(simulate, [*lists[:-1], "/nowhere.csv"])
    assert done.exit_code == 3
    assert "/nowhere.csv: cannot be read" in done.stderr
