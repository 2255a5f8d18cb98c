"""`fairlead up`: what it says when it cannot start, and what survives when it is killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

import pytest
from tests.cli.conftest import Cli
from tests.parts import certificates

from fairlead.cli.local import sample
from fairlead.runtime.errors import Unreachable


def test_a_server_that_does_not_run_is_said_with_what_to_do(fresh: Cli) -> None:
    done = fresh.run("list")
    assert (done.returncode, "Start it with `fairlead up`" in done.stderr) == (5, True)


def test_a_taken_port_is_said_plainly(fresh: Cli) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        (fresh.data / "fairlead.log").write_text("fairlead: Words of an earlier run.\n")
        done = fresh.run("up", "--port", str(port))
    assert done.returncode != 0
    assert f"Port {port} of 127.0.0.1 cannot be used" in done.stderr
    assert "--port chooses another" in done.stderr
    assert "earlier run" not in done.stderr


def test_make_up_passes_a_port_on_and_is_told_its_own_word_for_it(fresh: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[2]
    steps = subprocess.run(
        ["make", "-n", "up", "PORT=8471"], cwd=root, capture_output=True, text=True, check=True
    ).stdout
    (last,) = (line for line in steps.splitlines() if "fairlead up" in line)
    assert last.endswith("--port 8471")
    assert "is up to date" not in steps
    word = last.partition('FAIRLEAD_PORT_OPTION="')[2].partition('"')[0]
    monkeypatch.setenv("FAIRLEAD_PORT_OPTION", word)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        done = fresh.run("up", "--port", str(other.getsockname()[1]))
    assert "make up PORT=8471 chooses another" in done.stderr


def test_a_second_up_on_the_same_data_finds_the_first(fresh: Cli) -> None:
    fresh.ok("up", "--port", "0")
    began = time.monotonic()
    again = fresh.run("up", "--port", "0")
    assert (again.returncode, "runs already" in again.stderr) == (0, True)
    assert time.monotonic() - began < 30
    refused = fresh.run("up", "--foreground", "--port", "0")
    assert (refused.returncode, "Another `fairlead up` runs" in refused.stderr) == (1, True)


def test_a_clusters_secret_is_shown_when_it_is_made_and_when_it_is_renewed_and_never_else(fresh: Cli) -> None:
    fresh.ok("up", "--port", "0")
    made, renewed = fresh.json("cluster", "create", "berlin"), fresh.json("cluster", "secret", "berlin")
    assert (made["uuid"], made["url"]) == (renewed["uuid"], renewed["url"])
    assert made["client_secret"] != renewed["client_secret"]
    assert not any(each.get("client_secret") for each in fresh.json("cluster", "list"))


def test_other_machines_are_let_in_only_over_tls(fresh: Cli) -> None:
    done = fresh.run("up", "--foreground", "--host", "0.0.0.0")
    assert (done.returncode, "--tls-cert" in done.stderr) == (2, True)


def test_a_certificate_of_ones_own_authority_does_and_one_for_another_name_is_told(fresh: Cli, tmp_path: Path) -> None:
    """Whoever starts it gives a certificate and no authority: both sides trust that very one."""
    certificates.write(tmp_path, {"own": certificates.Leaf("own")})
    fresh.ok(*_with_tls(tmp_path / "own"))
    assert fresh.json("cluster", "list")[0]["status"]["state"] == "Connected"
    fresh.ok("down")
    _for_another_name(tmp_path / "other")
    done = fresh.run(*_with_tls(tmp_path / "other"))
    assert (
        done.returncode,
        f"--tls-cert {tmp_path / 'other'}.crt does not do for https://127.0.0.1:" in done.stderr,
    ) == (
        2,
        True,
    ), done.stderr
    assert "not valid for '127.0.0.1'" in done.stderr


def _with_tls(pair: Path) -> tuple[str, ...]:
    return "up", "--port", "0", "--simulate", "1x1", "--tls-cert", f"{pair}.crt", "--tls-key", f"{pair}.key"


def _for_another_name(pair: Path) -> None:
    """PAIR.crt and PAIR.key, self-signed."""
    words = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=other.example"]
    names = ["-addext", "subjectAltName=DNS:other.example", "-keyout", f"{pair}.key", "-out", f"{pair}.crt"]
    subprocess.run(["openssl", "req", "-x509", *words, *names], check=True, capture_output=True)


def test_one_that_is_not_ready_yet_is_stopped_too(fresh: Cli) -> None:
    """Whoever waited for it was killed."""
    with fresh.begin("up", "--foreground", "--port", "0", "--simulate", "1x1") as started:
        end = time.monotonic() + 60
        while not (fresh.data / "lock").exists() or not (fresh.data / "lock").read_text():
            assert time.monotonic() < end
        fresh.ok("down")
        started.communicate(timeout=60)
        assert started.returncode in (0, -signal.SIGTERM)


def test_secrets_are_readable_by_their_owner_only(fresh: Cli) -> None:
    fresh.ok("up", "--port", "0")
    for name in ("admin-password", "secrets.json", "kubeconfig", "up.json"):
        assert stat.S_IMODE((fresh.data / name).stat().st_mode) == 0o600, name
    password = (fresh.data / "admin-password").read_text().strip()
    assert password not in (fresh.data / "fairlead.log").read_text()


NAP = str(100_000 + os.getpid())
"""Seconds that nobody else on this machine sleeps."""


def test_a_killed_fairlead_loses_nothing_and_finds_its_processes_again(fresh: Cli) -> None:
    fresh.ok("up", "--port", "0")
    fresh.ok("project", "create", "team", "--gpus", "2")
    fresh.ok("submit", "long", "-i", "x", "-g", "1", "--wait", "--", "sh", "-c", "echo begun; sleep 8; echo ended")
    fresh.ok("submit", "lost", "-i", "x", "--backoff-limit", "0", "--wait", "--", "sleep", NAP)
    fresh.ok("submit", "quick", "-i", "x", "--wait", "--", "sh", "-c", "sleep 2; exit 0")
    lost = next(p for p in _processes(f"sleep {NAP}"))
    os.kill(int(fresh.state()["pid"]), signal.SIGKILL)
    time.sleep(3)
    os.killpg(os.getpgid(lost), signal.SIGKILL)
    fresh.ok("up", "--port", "0")
    end = time.monotonic() + 30
    while (phases := _phases(fresh)) != {"long": "Completed", "lost": "Failed", "quick": "Completed"}:
        assert time.monotonic() < end, phases
        time.sleep(0.2)
    assert fresh.ok("logs", "long") == "begun\nended\n"
    assert "lost" in fresh.json("describe", "lost")["phase_message"]


@pytest.mark.parametrize("is_killed", [True, False])
def test_whoever_looks_on_while_the_server_stops_is_told(fresh: Cli, is_killed: bool) -> None:
    fresh.ok("up", "--port", "0")
    fresh.ok("project", "create", "team", "--gpus", "2")
    fresh.ok("submit", "long", "-i", "x", "--wait", "--", "sh", "-c", "echo begun; exec sleep 20")
    watching = [
        fresh.begin("submit", "other", "-i", "x", "--follow", "--", "sh", "-c", "echo begun; exec sleep 20"),
        fresh.begin("logs", "long", "-f"),
        fresh.begin("exec", "long", "--", "sh", "-c", "echo begun; exec sleep 20"),
    ]
    for one in watching:
        assert one.stdout is not None
        while one.stdout.readline() != "begun\n":
            assert one.poll() is None
    if is_killed:
        os.kill(int(fresh.state()["pid"]), signal.SIGKILL)
    else:
        fresh.ok("down")
    ended = [(one, one.communicate(timeout=30)[1]) for one in watching]
    for one, said in ended:
        assert (one.returncode, "Start it with `fairlead up`" in said) == (5, True), (one.args, said)
        assert "bug" not in said


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kubectl_can_look(fresh: Cli) -> None:
    fresh.ok("up", "--port", "0", "--simulate", "2x8")
    fresh.ok("project", "create", "team", "--gpus", "2")
    fresh.ok("submit", "hello", "-i", "x", "-g", "1", "--wait", "--", "sleep", NAP)
    command = ["kubectl", "--kubeconfig", str(fresh.data / "kubeconfig"), "get", "pods,nodes", "-A"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "hello-0" in done.stdout
    assert "node/sim-1" in done.stdout


def test_a_sample_that_finds_no_gpu_is_said_and_not_waited_for(fresh: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh.ok("up", "--port", "0", "--gpus", "0")
    monkeypatch.setattr(sample, "_PATIENCE_SECONDS", 3.0)
    with pytest.raises(Unreachable, match="did not begin within 3 s: it is Pending, ") as caught:
        sample.run_sample(fresh.data)
    assert "`fairlead explain hello-" in caught.value.hint


def test_down_stops_it_and_keeps_the_data(fresh: Cli) -> None:
    assert "project create demo" in fresh.ok("up", "--port", "0")
    fresh.ok("project", "create", "kept", "--gpus", "1")
    fresh.ok("project", "create", "demo", "--gpus", "1")
    assert "project create demo" not in fresh.ok("up", "--port", "0")
    fresh.ok("project", "delete", "demo")
    assert "data stays" in fresh.ok("down")
    assert "does not run" in fresh.ok("down")
    fresh.ok("up", "--port", "0")
    assert fresh.ok("project", "list", "-o", "name").split() == ["kept"]


def _phases(cli: Cli) -> dict[str, str]:
    return {w["name"]: w["phase"] for w in cli.json("list")}


def _processes(command: str) -> list[int]:
    done = subprocess.run(["pgrep", "-f", f"^{command}$"], capture_output=True, text=True)
    return [int(line) for line in done.stdout.split()]
