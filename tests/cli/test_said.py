"""What commands say: true of what was done, in words of the command line, and right when it is copied."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from typing import Any

import pytest
from tests.cli.conftest import Cli


def _with(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """The command without the folder of the tests in its environment."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FAIRLEAD_")}
    return subprocess.run(
        [sys.executable, "-m", "fairlead.cli.main", *words],
        capture_output=True,
        text=True,
        timeout=240,
        env={**kept, "NO_COLOR": "1", **environment},
    )


def _until(cli: Cli, name: str, phase: str) -> Any:
    end = time.monotonic() + 30
    while (found := cli.json("describe", name))["phase"] != phase:
        assert time.monotonic() < end, found
        time.sleep(0.1)
    return found


def test_next_commands_name_the_folder_where_it_is_not_the_usual_one(fresh: Cli) -> None:
    data = fresh.data / "its own"
    try:
        said = _with({}, "up", "--data", str(data), "--port", "0", "--simulate", "2x4").stdout
        commands = re.findall(r"fairlead (--data '.*' \w.*)$", said, re.MULTILINE)
        assert [c.split("' ")[1].split()[0] for c in commands] == ["project", "submit", "list"], said
        folder = ("--data", str(data))
        assert _with({}, *folder, "project", "create", "demo", "--gpus", "2").returncode == 0
        submitted = _with({}, *folder, "submit", "w", "-i", "x", "-g", "1", "--", "true")
        assert f"fairlead --data '{data}' describe w -p demo" in submitted.stdout
        assert f"fairlead --data '{data}' resume w" in _with({}, *folder, "suspend", "w").stdout
        assert "Signed in as" in _with({}, "status", *folder).stdout
    finally:
        assert "data stays" in _with({}, "--data", str(data), "down").stdout
    assert f"`fairlead --data '{data}' up`" in _with({}, *folder, "list").stderr


def test_what_changes_nothing_says_so(up: Cli) -> None:
    up.ok("submit", "runs", "-p", "team", "-i", "x", "--wait", "--", "sleep", "100")
    assert up.ok("resume", "runs") == "runs was not suspended; nothing was changed\n"
    assert "runs suspended;" in up.ok("suspend", "runs")
    assert up.ok("suspend", "runs") == "runs is suspended already; nothing was changed\n"
    up.ok("submit", "ends", "-p", "team", "-i", "x", "--follow", "--", "true")
    assert up.ok("suspend", "ends") == "ends has ended (completed); nothing was changed\n"
    up.ok("delete", "runs", "ends")
    done = up.run("project", "update", "team")
    assert (done.returncode, "--gpus, --gpu-limit, --weight" in done.stderr, done.stdout) == (2, True, "")


def test_the_end_is_the_last_word_after_the_whole_log(up: Cli) -> None:
    quick = ("submit", "quick", "-p", "team", "-i", "x", "--follow", "--", "sh", "-c", "echo first; echo last")
    words = [sys.executable, "-m", "fairlead.cli.main", *quick]
    env = {**os.environ, "FAIRLEAD_DATA": str(up.data), "NO_COLOR": "1"}
    said = subprocess.run(
        words, text=True, timeout=240, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ).stdout
    assert said.index("first") < said.index("last\n") < said.index("quick: Completed"), said
    up.ok("delete", "quick")


def test_a_cpu_limit_is_said_not_to_be_enforced_where_it_is_not(up: Cli) -> None:
    done = up.run("submit", "limited", "-p", "team", "-i", "x", "--cpu-limit", "1", "--", "true")
    assert "its image is not used, its --cpu-limit is not enforced, and it is not isolated" in done.stderr
    assert "cpu-limit" not in up.run("submit", "free", "-p", "team", "-i", "x", "--", "true").stderr
    up.ok("delete", "limited", "free")


def test_a_pod_that_is_not_there_is_not_found(up: Cli) -> None:
    up.ok("submit", "box", "-p", "team", "-i", "x", "--wait", "--", "sleep", "100")
    done = up.run("exec", "box", "--pod", "zz", "--", "ls")
    assert (done.returncode, "has no pod 'zz'" in done.stderr, "box-0" in done.stderr) == (3, True, True)
    done = up.run("exec", "box", "--", "no-such-program")
    assert (done.returncode, done.stderr) == (
        1,
        "fairlead: 'no-such-program' cannot be started on its node: no such file or directory.\n",
    )
    assert "terminated container" not in up.run("logs", "box", "--previous").stderr
    assert "--namespace: lowercase" in up.run("project", "create", "p3", "--namespace", "Bad_").stderr
    up.ok("delete", "box")
    time.sleep(0.5)
    assert "Traceback" not in (up.data / "fairlead.log").read_text()


def test_stopping_leaves_no_traceback_also_with_somebody_looking_on(fresh: Cli) -> None:
    fresh.ok("up", "--port", "0")
    fresh.ok("project", "create", "team", "--gpus", "2")
    fresh.ok("submit", "long", "-i", "x", "--wait", "--", "sleep", "100")
    watching = [fresh.begin("logs", "long", "-f"), fresh.begin("exec", "long", "--", "sleep", "100")]
    time.sleep(1)
    fresh.ok("down")
    for one in watching:
        one.communicate(timeout=30)
    assert "Traceback" not in (fresh.data / "fairlead.log").read_text()


@pytest.mark.parametrize(
    ("environment", "code", "words"),
    [
        ({"FAIRLEAD_URL": "foo"}, 2, ("'foo', which is not an address", "http://")),
        ({"FAIRLEAD_URL": "http://"}, 2, ("is not an address",)),
        ({"FAIRLEAD_URL": "http://127.0.0.1:1", "FAIRLEAD_CLIENT_ID": "k"}, 5, ("nothing listens there",)),
        ({"FAIRLEAD_URL": "http://127.0.0.1:1"}, 4, ("POST /api/v1/access-keys",)),
        ({"FAIRLEAD_URL": "https://127.0.0.1:1", "FAIRLEAD_CA_FILE": "/none"}, 2, ("'/none', which cannot be read",)),
    ],
)
def test_a_server_that_cannot_be_reached_is_said_in_words(
    environment: dict[str, str], code: int, words: tuple[str, ...]
) -> None:
    done = _with(environment, "list")
    assert done.returncode == code, done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    assert "Errno" not in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("up", "--port", "abc"), ("--port 'abc' is not a whole number from 0 to 65535", "--port 8471")),
        (("up", "--simulate", "100000x8"), ("100000 nodes with 8 GPUs each", "1 to 99999 nodes")),
        (("up", "--simulate", "many"), ("'many' is not understood", "4x8")),
        (("submit", "x", "-i", "x", "--priority", "hihg"), ("'hihg' is neither", "Did you mean high?")),
        (("submit", "x", "-i", "x", "--workers", "0"), ("--workers '0' is not a whole number of 1 or more",)),
        (("user", "list"), ("'user' is not a command of this version yet", "/api/v1/users")),
        (("what-if",), ("is not a command of this version yet", "fairlead explain")),
    ],
)
def test_wrong_use_says_what_was_wrong_expected_and_what_to_do(words: tuple[str, ...], said: tuple[str, ...]) -> None:
    done = _with({}, *words)
    assert done.returncode == 2
    assert all(word in done.stderr for word in said), done.stderr


def test_the_port_is_asked_for_in_the_words_of_whoever_started_it() -> None:
    done = _with({"FAIRLEAD_PORT_OPTION": "make up PORT=8471"}, "up", "--port", "abc")
    assert "such as `make up PORT=8471`" in done.stderr


def test_json_of_waiting_work_tells_its_place_how_long_it_waits_and_the_amounts(up: Cli) -> None:
    for name, priority in (("second", "train"), ("first", "build")):
        up.ok("submit", name, "-p", "team", "-i", "x", "-g", "9", "--priority", priority, "--", "true")
        _until(up, name, "Pending")
    end = time.monotonic() + 30
    while not all(w["reasons"] and w["waiting_seconds"] for w in up.json("list") if w["name"] in ("first", "second")):
        assert time.monotonic() < end
        time.sleep(0.2)
    listed = {w["name"]: (w["place"], w["waiting"]) for w in up.json("list")}
    assert (listed["first"], listed["second"]) == ((1, 2), (2, 2))
    shown, explained = up.json("describe", "second"), up.json("explain", "second")
    assert (shown["place"], shown["waiting"]) == (explained["place"], explained["waiting"]) == (2, 2)
    assert [r["details"]["wanted"] for r in shown["reasons"] if r["code"] == "too-large"] == [9000]
    assert "2 of 2" in up.ok("describe", "second")
    up.ok("delete", "first", "second")


def test_a_connected_cluster_is_heard_from_while_nothing_happens(up: Cli) -> None:
    time.sleep(12)
    assert re.search(r"Connected\s+\S+\s+\d+ s", up.ok("cluster", "list")), up.ok("cluster", "list")


def test_more_quota_than_there_are_gpus_is_said_and_stays(up: Cli) -> None:
    done = up.run("project", "create", "greedy", "--gpus", "100")
    assert (done.returncode, "guaranteed 102 GPUs together and it has 4" in done.stderr) == (0, True), done.stderr
    done = up.run("project", "update", "greedy", "--gpus", "1")
    assert (done.returncode, "together" in done.stderr) == (0, False), done.stderr
    up.ok("project", "delete", "greedy")


def test_who_holds_the_gpus_of_a_node_is_listed(up: Cli) -> None:
    up.ok("submit", "holder", "-p", "team", "-i", "x", "-g", "1", "--wait", "--", "sleep", "100")
    up.until("node", "list", told="team/holder")
    up.ok("delete", "holder")


def test_a_cordoned_node_takes_no_new_work_until_it_is_uncordoned(up: Cli) -> None:
    name = up.ok("node", "list", "-o", "name").strip()
    up.ok("submit", "before", "-p", "team", "-i", "x", "--wait", "--", "sleep", "100")
    assert f"fairlead node uncordon {name}" in up.ok("node", "cordon", name)
    up.ok("submit", "after", "-p", "team", "-i", "x", "--", "sleep", "100")
    _until(up, "after", "Pending")
    assert "Unschedulable" in up.ok("node", "list")
    assert up.json("describe", "before")["phase"] == "Running"
    assert "takes work again" in up.ok("node", "uncordon", name)
    _until(up, "after", "Running")
    done = up.run("node", "cordon", "nowhere")
    assert (done.returncode, "no node 'nowhere'" in done.stderr, name in done.stderr) == (3, True, True)
    up.ok("delete", "before", "after")
