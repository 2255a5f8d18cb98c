"""The researcher's day against a running Fairlead: submit, look, read, enter, stop, remove."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.cli.conftest import Cli


def _until(up: Cli, name: str, phase: str, seconds: float = 20) -> Any:
    end = time.monotonic() + seconds
    while True:
        found = up.json("describe", name)
        if found["phase"] == phase:
            return found
        assert time.monotonic() < end, f"{name} is {found['phase']} ({found['phase_message']}), not {phase}"
        time.sleep(0.1)


def test_a_followed_workload_shows_its_log_and_gives_its_outcome(up: Cli) -> None:
    done = up.run(
        "submit",
        "hello",
        "-i",
        "python:3.12",
        "-g",
        "0.5",
        "--follow",
        "--",
        "sh",
        "-c",
        "echo out; echo $CUDA_VISIBLE_DEVICES",
    )
    assert (done.returncode, done.stdout.splitlines()[-2]) == (0, "out")
    assert "simulated" in done.stderr
    assert "not isolated" in done.stderr
    failed = up.run("submit", "boom", "-i", "x", "--backoff-limit", "0", "--follow", "--", "sh", "-c", "exit 7")
    assert failed.returncode == 1
    assert up.json("describe", "boom")["exit_code"] == 7


def test_following_shows_the_log_of_every_attempt(up: Cli) -> None:
    script = "echo try $(date +%N); sleep 1; exit 3"
    words = ("submit", "twice", "-p", "team", "-i", "x", "--backoff-limit", "1", "--follow", "--", "sh", "-c", script)
    done = up.run(*words)
    assert (done.returncode, done.stdout.count("try ")) == (1, 2)
    assert "Backing off" in done.stderr
    up.ok("delete", "twice")


def test_following_shows_the_log_of_an_attempt_that_fails_at_once(up: Cli) -> None:
    words = ("submit", "quick", "-p", "team", "-i", "x", "--backoff-limit", "1", "--follow")
    done = up.run(*words, "--", "sh", "-c", "echo try; exit 1")
    assert (done.returncode, done.stdout.count("try\n")) == (1, 2)
    up.ok("delete", "quick")


def test_a_group_without_its_command_shows_its_help(up: Cli) -> None:
    done = up.run("node")
    assert (done.returncode, done.stderr.count("Usage:")) == (2, 1)
    assert "fairlead node list" in done.stderr


def test_list_and_describe_say_what_runs_and_on_which_device(up: Cli) -> None:
    up.ok("submit", "look", "-i", "x", "-g", "1", "--", "sleep", "60")
    found = _until(up, "look", "Running")
    assert (found["allocated_gpu_milli"], found["simulated"], len(found["pods"][0]["devices"])) == (1000, True, 1)
    table = up.ok("list")
    assert "look" in table
    assert "GPUs are simulated." in table
    assert "look" in up.ok("list", "-o", "name").splitlines()
    assert "Asked" in up.ok("describe", "look")
    up.ok("delete", "look")


def test_exec_runs_beside_the_workload_with_its_environment_and_gives_its_exit_code(up: Cli) -> None:
    up.ok("submit", "box", "-i", "x", "-g", "1", "-e", "COLOUR=blue", "--wait", "--", "sleep", "60")
    done = up.run("exec", "box", "--", "sh", "-c", "echo $COLOUR; exit 3")
    assert (done.returncode, done.stdout) == (3, "blue\n")
    typed = up.run("exec", "box", "-i", "--", "cat", stdin="typed\n")
    assert (typed.returncode, typed.stdout) == (0, "typed\n")
    up.ok("delete", "box")


def test_a_suspended_workload_stops_under_its_name_and_runs_again_when_resumed(up: Cli) -> None:
    said = 'echo "run $(date +%N)"; exec sleep 60'
    up.ok("submit", "pause", "-i", "x", "--interactive", "-g", "1", "--wait", "--", "sh", "-c", said)
    first = _log(up, "pause")
    assert up.run("logs", "pause", "--previous").returncode == 3
    assert "fairlead logs pause" in up.ok("suspend", "pause")
    assert _until(up, "pause", "Stopped")["allocated_gpu_milli"] == 0
    suspended = up.run("logs", "pause")
    assert (suspended.stdout, "log of its last run" in suspended.stderr) == (first, True)
    assert "fairlead logs pause --previous" in up.ok("resume", "pause")
    _until(up, "pause", "Running")
    second = _log(up, "pause")
    assert second != first
    assert up.ok("logs", "pause", "--previous") == first
    up.ok("delete", "pause")


def test_the_log_of_a_workload_that_was_tried_again_is_that_of_its_last_attempt(up: Cli) -> None:
    said = 'echo "try $(date +%N)"; exit 1'
    up.ok("submit", "retry", "-p", "team", "-i", "x", "--backoff-limit", "1", "--", "sh", "-c", said)
    found = _until(up, "retry", "Failed")
    logs = [up.ok("logs", "retry", "--pod", pod["name"]) for pod in found["pods"]]
    assert len(set(logs)) == 2
    assert [up.ok("logs", "retry", "--previous"), up.ok("logs", "retry")] == logs
    up.ok("delete", "retry")


def _log(up: Cli, name: str) -> str:
    end = time.monotonic() + 10
    while not (found := up.ok("logs", name)) and time.monotonic() < end:
        time.sleep(0.1)
    return found


def test_a_gang_starts_whole_and_knows_its_ranks(up: Cli) -> None:
    up.ok(
        "submit",
        "gang",
        "-i",
        "x",
        "-g",
        "0.5",
        "--workers",
        "3",
        "--",
        "sh",
        "-c",
        "echo $RANK of $WORLD_SIZE; sleep 2",
    )
    found = _until(up, "gang", "Running")
    assert found["running_pods"] == 3
    assert up.ok("logs", "gang", "--pod", found["pods"][2]["name"], "-f").strip() == "2 of 3"
    _until(up, "gang", "Completed")


def test_what_waits_says_why_and_what_would_start_it(up: Cli) -> None:
    up.ok("submit", "huge", "-i", "x", "-g", "9", "--", "true")
    found = _until(up, "huge", "Pending")
    end = time.monotonic() + 10
    while not found["reasons"] and time.monotonic() < end:
        time.sleep(0.1)
        found = up.json("describe", "huge")
    assert {"too-large", "no-room"} & {r["code"] for r in found["reasons"]} == {"too-large"}
    explained = up.json("explain", "huge")
    assert explained["result"] == "waiting"
    assert any(r["code"] == "too-large" and r["details"]["wanted"] == 9000 for r in explained["reasons"])
    assert explained["fixes"], "a smaller request or another node would start it"
    assert "What would start it" in up.ok("explain", "huge")
    up.ok("delete", "huge")


def test_the_owner_takes_back_what_was_lent_and_the_borrower_learns_by_whom(up: Cli) -> None:
    up.ok("project", "create", "owner", "--gpus", "2")
    up.ok(
        "submit",
        "borrow",
        "-p",
        "team",
        "-i",
        "x",
        "-g",
        "1",
        "--workers",
        "4",
        "--min-workers",
        "1",
        "--wait",
        "--",
        "sleep",
        "60",
    )
    up.ok("submit", "own", "-p", "owner", "-i", "x", "-g", "2", "--wait", "--", "sleep", "60")
    found = up.json("describe", "borrow", "-p", "team")
    assert (found["evictions"], found["allocated_gpu_milli"]) == (1, 2000)
    assert any("Stopped for work of owner" in entry["message"] for entry in found["history"])
    up.ok("delete", "own", "-p", "owner")
    up.ok("delete", "borrow", "-p", "team")


def test_a_dry_run_prints_the_object_and_makes_nothing(up: Cli) -> None:
    made = json.loads(
        up.ok(
            "submit",
            "dry",
            "-i",
            "python:3.12",
            "-g",
            "0.5",
            "-p",
            "team",
            "--dry-run",
            "-o",
            "json",
            "--",
            "echo",
            "a b",
        )
    )
    assert (made["kind"], made["spec"]["gpuMilli"], made["spec"]["command"]) == ("Training", 500, ["echo", "a b"])
    assert "dry" not in up.ok("list", "-o", "name").splitlines()


def test_each_mistake_gets_a_sentence_a_hint_and_its_exit_code(up: Cli) -> None:
    up.ok("project", "create", "elsewhere", "--gpus", "0")
    mistakes = [
        (("submit", "x", "-p", "tema", "-i", "y", "--", "z"), 3, "There is no project 'tema'", "Did you mean 'team'?"),
        (("submit", "x", "-p", "team", "-i", "y", "-g", "1.5", "--", "z"), 2, "-g 1.5 cannot be had", "Ask for 1 or 2"),
        (("submit", "x", "-p", "team", "--imge", "y"), 2, "No such option '--imge'", "--image"),
        (("submit", "x", "--env", "A=b"), 2, "No such option '--env'", "Did you mean --environment?"),
        (("submit", "x", "--wrokers", "2"), 2, "No such option '--wrokers'", "Did you mean --workers?"),
        *(
            (("submit", "x", "-p", "team", "-i", "y", "-g", gpu, "--", "z"), 2, f"-g {gpu} cannot", "0.001 to 0.999")
            for gpu in ("0.0001", "0.9999", "nan", "inf", "abc", "-1")
        ),
        *(
            (("submit", "x", "-p", "team", "-i", "y", "--cpu", cores, "--", "z"), 2, f"--cpu {cores} is no", "2 or 0.5")
            for cores in ("inf", "nan", "-1", "two")
        ),
        (("submit", "x", "-p", "team", "-i", "y", "--memory", "inf", "--", "z"), 2, "--memory: an amount", "'inf'"),
        (("submit", "X_1", "-p", "team", "-i", "y", "--", "z"), 2, "'X_1' cannot be a name", "lowercase"),
        (
            ("submit", "x", "-p", "team", "-i", "y", "--gpu-memory", "20GG", "--", "z"),
            2,
            "cannot run as written",
            "--gpu-memory: an amount such as `512Mi` or `20G`, not '20GG'",
        ),
        (("submit", "x", "-p", "team", "-i", "y", "--priority", "hgih"), 2, "--priority", "'hgih' is neither"),
        (("submit", "x", "-p", "team", "-i", "y", "--min-workers", "2"), 2, "this is one pod", "--workers N"),
        (
            ("submit", "x", "-p", "team", "-i", "y", "--interactive", "--workers", "2"),
            2,
            "a workspace is one pod",
            "one",
        ),
        (("describe", "hello", "-p", "elsewhere"), 3, "no workload 'hello' in elsewhere", "'hello' of team"),
        (("describe", "helo", "-p", "team"), 3, "There is no workload 'helo'", "hello"),
        (("lst",), 2, "There is no command 'lst'", "fairlead list"),
        (("project", "create", "team", "--gpus", "1"), 1, "exists already", "another name"),
        (
            ("project", "create", "p2", "--gpus", "4", "--gpu-limit", "2"),
            2,
            "below the guaranteed amount",
            "--gpu-limit",
        ),
        (("nodepool", "create", "np", "--label", "foo"), 2, "'foo' is no label", "KEY=VALUE"),
        (("node", "describe"), 2, "No such command 'describe'", "`fairlead node --help` lists them"),
        (("project", "create", "p2", "--gpus", "many"), 2, "'many' is no amount", "Write a number"),
    ]
    for words, code, message, hint in mistakes:
        done = up.run(*words)
        assert done.returncode == code, (words, done.stderr)
        assert message in done.stderr, (words, done.stderr)
        assert hint in done.stderr, (words, done.stderr)
        assert "Traceback" not in done.stderr
    up.ok("project", "delete", "elsewhere")


def test_memory_that_no_gpu_has_is_said_and_the_others_go_on(up: Cli) -> None:
    up.ok("submit", "giant", "-p", "team", "-i", "x", "--gpu-memory", "900G", "--", "true")
    up.ok("submit", "after", "-p", "team", "-i", "x", "--gpu-memory", "2G", "--", "true")
    _until(up, "after", "Completed")
    assert "No GPU is large enough: needs 900 GB" in up.ok("explain", "giant")
    up.ok("delete", "giant", "after")


def test_a_command_that_is_not_there_fails_the_workload_with_the_reason(up: Cli) -> None:
    up.ok("submit", "missing", "-p", "team", "-i", "x", "--backoff-limit", "0", "--", "no-such-program")
    found = _until(up, "missing", "Failed")
    assert "There is no program 'no-such-program'" in found["phase_message"]
    taken = up.run("submit", "entry", "-p", "team", "-i", "x", "--backoff-limit", "0")
    assert (taken.returncode, "it has no command and will fail" in taken.stderr) == (0, True)
    assert "Name a command" in _until(up, "entry", "Failed")["phase_message"]


def test_every_table_and_json_about_gpus_says_simulated_where_they_are(up: Cli) -> None:
    up.ok("submit", "waits", "-p", "team", "-i", "x", "-g", "9", "--", "true")
    _until(up, "waits", "Pending")
    about_gpus = [("node", "list"), ("status",), ("project", "list"), ("department", "list"), ("list",)]
    for words in (*about_gpus, ("describe", "waits"), ("explain", "waits")):
        assert "simulated" in up.ok(*words), words
        assert '"simulated": true' in up.ok(*words, "-o", "json"), words
    assert "Connected" in up.ok("cluster", "list")
    up.ok("delete", "waits")


def test_keys_of_all_json_are_snake_case_and_amounts_name_their_unit(up: Cli) -> None:
    asked = ("submit", "keys", "-p", "team", "-i", "x", "-g", "0.5", "-e", "A=b", "-o", "json", "--", "sleep", "60")
    made = json.loads(up.ok(*asked))
    seen = _until(up, "keys", "Running")
    shown = [up.json(*words) for words in (("list",), ("project", "list"), ("department", "list"), ("node", "list"))]
    shown += [
        up.json(*words) for words in (("nodepool", "list"), ("cluster", "list"), ("status",), ("explain", "keys"))
    ]
    assert not {key for key in _keys([made, seen, *shown]) if key != key.lower() or not key.isidentifier()}
    assert (seen["requested_gpu_milli"], seen["allocated_gpu_milli"], seen["requested_pods"]) == (500, 500, 1)
    (team,) = (p for p in shown[1] if p["name"] == "team")
    (pool,) = team["node_pools"]
    assert (pool["deserved_gpu_milli"], pool["limit_gpu_milli"], pool["deserved_memory_mib"]) == (2000, -1, -1)
    assert {"allocated_gpu_milli", "fair_share_cpu_milli", "requested_memory_bytes"} <= pool.keys()
    changed = up.json("project", "update", "team", "--memory-gib", "3", "--cpus", "1.5")["node_pools"][0]
    assert (changed["deserved_memory_mib"], changed["deserved_cpu_milli"]) == (3072, 1500)
    up.ok("project", "update", "team", "--memory-gib", "unlimited", "--cpus", "unlimited")
    up.ok("delete", "keys")


def test_memory_of_a_gpu_is_shown_as_what_is_asked_and_the_part_that_is_held(up: Cli) -> None:
    up.ok("submit", "memo", "-p", "team", "-i", "x", "--gpu-memory", "20G", "--", "sleep", "60")
    found = _until(up, "memo", "Running")
    assert (found["requested_gpu_milli"], found["requested_gpu_memory_mib"]) == (0, 19073)
    share = found["allocated_gpu_milli"]
    assert 0 < share < 1000
    assert share == found["pods"][0]["allocated_gpu_milli"]
    assert f"{share / 1000:g}/20 GB" in up.ok("list")
    assert f"{share / 1000:g} held for 20 GB of GPU memory asked" in up.ok("describe", "memo")
    (node,) = up.json("node", "list")
    assert [g["used_milli"] for g in node["gpus"] if g["holders"]] == [share]
    up.ok("delete", "memo")


def test_explain_says_of_work_that_does_not_wait_what_happened(up: Cli) -> None:
    up.ok("submit", "good", "-p", "team", "-i", "x", "--", "true")
    up.ok("submit", "bad", "-p", "team", "-i", "x", "--backoff-limit", "0", "--", "sh", "-c", "exit 7")
    up.ok("submit", "runs", "-p", "team", "-i", "x", "--", "sleep", "60")
    for name, phase, said in (
        ("good", "Completed", "good has completed"),
        ("bad", "Failed", "Failed 1 time: exit code 7"),
        ("runs", "Running", "runs runs since"),
    ):
        _until(up, name, phase)
        assert said in up.ok("explain", name)
        assert up.json("explain", name)["result"] == phase.lower()
    up.ok("suspend", "runs")
    _until(up, "runs", "Stopped")
    assert "fairlead resume runs" in up.ok("explain", "runs")
    up.ok("delete", "good", "bad", "runs")


def test_work_that_fails_at_once_backs_off_and_says_until_when(up: Cli) -> None:
    up.ok("submit", "again", "-p", "team", "-i", "x", "--", "sh", "-c", "exit 7")
    end = time.monotonic() + 20
    while not (found := up.json("describe", "again"))["next_try_at"]:
        assert time.monotonic() < end, found
        time.sleep(0.1)
    for words in (("list",), ("describe", "again"), ("explain", "again")):
        assert f"Backing off, next try at {found['next_try_at'][11:19]} UTC" in up.ok(*words)
    assert len(found["pods"]) == 1
    up.ok("delete", "again")


def _keys(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(_keys, value))
    return set(value).union(*map(_keys, value.values())) if isinstance(value, dict) else set()


def test_the_state_of_this_machine_is_that_of_its_nodes_and_of_the_parts_of_the_process(up: Cli) -> None:
    up.until("cluster", "describe", "this-machine", "-o", "json", told='"ServicesReady"', seconds=120)
    up.until("cluster", "describe", "this-machine", "-o", "json", told='"Prerequisites"', seconds=120)
    found = up.json("cluster", "describe", "this-machine")
    assert {each["type"]: each["status"] for each in found["conditions"]} == {
        "Prerequisites": "True",
        "ServicesReady": "True",
    }
    assert "Connected" in up.ok("cluster", "list")
