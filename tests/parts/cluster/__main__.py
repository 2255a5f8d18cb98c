"""`python -m tests.parts.cluster up|down` (`make cluster`, `make cluster-down`): a real cluster with the product on it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from tests.parts import image, install
from tests.parts.build import Unavailable
from tests.parts.cluster.cluster import Cluster, cluster
from tests.parts.cluster.images import BUSYBOX
from tests.parts.cluster.nodes import GPUS
from tests.parts.cluster.programs import unfit
from tests.parts.cluster.slots import slot
from tests.parts.helm import helm

STATE = Path(tempfile.gettempdir()) / "fairlead-make-cluster.json"
LOG = STATE.with_suffix(".log")
_ORGANISATION = {
    "apiVersion": "v1",
    "kind": "List",
    "items": [
        {
            "apiVersion": "fairlead.dev/v1alpha1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": {"resources": [{"gpu": {"deserved": GPUS * 1000}}]},
        }
        for kind, name in (("Department", "default"), ("Project", "team"))
    ],
}
"""A project that names no department is of the department `default`."""
_PREREQUISITES = {"prometheus": {"mode": "none"}, "accept": {"gpu-driver": "the GPUs are simulated"}}
"""By what the cluster is judged after the install."""
_OURS = json.dumps({"spec": {"schedulerName": "fairlead"}})


def main() -> int:
    """Give the exit code of the command."""
    commands = {"up": up, "down": down, "serve": serve}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        print("python -m tests.parts.cluster up|down", file=sys.stderr)
        return 2
    return commands[sys.argv[1]]()


def up() -> int:
    """Starts the cluster in the background and says how to use it."""
    if reason := unfit():
        print(f"No real cluster can run here: {reason}", file=sys.stderr)
        return 1
    if _running() and not _kubeconfig():
        print("A cluster is being started; `make cluster-down` ends it.", file=sys.stderr)
        return 1
    if _running() is None:
        install.cluster_parts()
        print("Starting a control plane and two nodes, and installing Fairlead ...", file=sys.stderr, flush=True)
        if not _start():
            print(f"The cluster did not start. {LOG} ends with:\n{LOG.read_text()[-4000:]}", file=sys.stderr)
            return 1
    _greet(json.loads(STATE.read_text())["kubeconfig"])
    return 0


def down() -> int:
    """Ends the cluster, and what killed ones have left."""
    if process := _running():
        process.terminate()
        psutil.wait_procs([process], timeout=60)
    STATE.unlink(missing_ok=True)
    LOG.unlink(missing_ok=True)
    if not unfit():
        with slot():
            pass  # taking a slot empties those that nobody uses
    return 0


def serve() -> int:
    """Is the background process: has the cluster until it is told to end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        _tell("")  # from now on `down` ends it
        with cluster() as running:
            _install(running)
            _tell(str(running.kubeconfig))
            while True:
                signal.pause()
    except (Unavailable, RuntimeError) as error:
        print(error, flush=True)
        return 1
    finally:
        STATE.unlink(missing_ok=True)
    return 0


def _install(running: Cluster) -> None:
    """The product, as docs/howto/install-on-a-cluster.md has it, and a project. Raises: Unavailable, RuntimeError."""
    running.load_image(image.image())
    repository, _, tag = image.NAME.partition(":")
    chart = image.ROOT / "deploy" / "chart"
    words = ["install", "fairlead", str(chart), "--namespace=fairlead", "--create-namespace", "--wait", "--timeout=10m"]
    values = f"--set=image.repository={repository},image.tag={tag},prometheus.enabled=false"
    judged = f"--set-json=prerequisites.config={json.dumps(json.dumps(_PREREQUISITES))}"
    homes = {f"HELM_{name}_HOME": str(running.folder / "helm" / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
    env = {**os.environ, **homes, "KUBECONFIG": str(running.kubeconfig)}
    run_with(env, str(helm(3)), *words, values, judged)
    run_with(env, "kubectl", "apply", "-f", "-", given=json.dumps(_ORGANISATION))


def run_with(env: dict[str, str], *command: str, given: str = "") -> None:
    """Run a command to its end. Raises: RuntimeError with what it said."""
    done = subprocess.run(command, env=env, input=given, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:3])} failed: {done.stderr.strip()}")


def _tell(kubeconfig: str) -> None:
    """Others find this process by it. `kubeconfig` empty: it is not up yet."""
    process = psutil.Process()
    state = {"pid": process.pid, "born": process.create_time(), "kubeconfig": kubeconfig}
    part = STATE.with_suffix(".part")
    part.write_text(json.dumps(state))
    part.rename(STATE)


def _start() -> bool:
    """Whether a cluster came up."""
    with LOG.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.parts.cluster", "serve"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        while process.poll() is None:
            if _kubeconfig():
                return True
            time.sleep(0.1)
    except KeyboardInterrupt:
        print("Ending what was started ...", file=sys.stderr, flush=True)
        process.terminate()
        process.wait(60)
        raise
    return False


def _kubeconfig() -> str:
    """Of the cluster that is up; empty while there is none."""
    return str(json.loads(STATE.read_text())["kubeconfig"]) if _running() else ""


def _running() -> psutil.Process | None:
    """The background process, if there is one."""
    try:
        state = json.loads(STATE.read_text())
        process = psutil.Process(state["pid"])
        return process if process.create_time() == state["born"] else None
    except (OSError, ValueError, psutil.NoSuchProcess):
        return None


def _greet(kubeconfig: str) -> None:
    print(f"""
A real cluster runs on this machine: node-1 and node-2, with {GPUS} simulated GPUs each; no cluster DNS.
Fairlead is installed on it, and the project `team` has {GPUS} guaranteed GPUs.

  export KUBECONFIG={kubeconfig}
  kubectl -n fairlead get pods
  kubectl -n runai-team run hello --image={BUSYBOX} --restart=Never --overrides='{_OURS}' -- env
  kubectl -n runai-team logs hello

`make cluster-down` ends it and removes all of it.""")


if __name__ == "__main__":
    sys.exit(main())
