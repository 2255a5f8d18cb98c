"""`python -m tests.parts.cluster up|down` (`make cluster`, `make cluster-down`): a real cluster to try things on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from tests.parts import install
from tests.parts.build import Unavailable
from tests.parts.cluster.cluster import Cluster, cluster
from tests.parts.cluster.images import BUSYBOX
from tests.parts.cluster.nodes import GPUS
from tests.parts.cluster.programs import unfit
from tests.parts.cluster.slots import slot

STATE = Path(tempfile.gettempdir()) / "fairlead-make-cluster.json"
LOG = STATE.with_suffix(".log")


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
    if _running() is None:
        install.cluster_parts()
        print("Starting a control plane and two nodes ...", file=sys.stderr, flush=True)
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
        with cluster() as running:
            _serve(running)
    except Unavailable as error:
        print(error, flush=True)
        return 1
    finally:
        STATE.unlink(missing_ok=True)
    return 0


def _serve(running: Cluster) -> None:
    process = psutil.Process()
    state = {"pid": process.pid, "born": process.create_time(), "kubeconfig": str(running.kubeconfig)}
    part = STATE.with_suffix(".part")
    part.write_text(json.dumps(state))
    part.rename(STATE)
    while True:
        signal.pause()


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
    while process.poll() is None:
        if _running():
            return True
        time.sleep(0.1)
    return False


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
A real cluster runs on this machine: node-1 and node-2, with {GPUS} simulated GPUs each.
It has no cluster DNS.

  export KUBECONFIG={kubeconfig}
  kubectl get nodes -L nvidia.com/gpu.product
  kubectl run hello --image={BUSYBOX} --restart=Never -- echo hello
  kubectl logs hello

`make cluster-down` ends it and removes all of it.""")


if __name__ == "__main__":
    sys.exit(main())
