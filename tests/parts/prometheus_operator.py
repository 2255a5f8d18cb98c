"""The Prometheus Operator, and the definitions of its kinds, from its Go module."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.parts.apiserver import free_ports, stop
from tests.parts.build import PROMETHEUS_OPERATOR, Part, binary
from tests.parts.definitions import definitions

PART = Part("prometheus-operator", PROMETHEUS_OPERATOR)
_MODULE = "github.com/prometheus-operator/prometheus-operator"


def parts() -> tuple[Path, Path]:
    """Give the program and the folder of its definitions, once they are there. Raises: Unavailable, RuntimeError."""
    return binary(PART), definitions(PART, _MODULE, "example", "prometheus-operator-crd")


@contextlib.contextmanager
def prometheus_operator(kubeconfig: Path, log: Path) -> Iterator[None]:
    """It runs on that API server, whose kinds it has added. Raises: Unavailable, RuntimeError."""
    program, crds = parts()
    added = ["apply", "--server-side", "-f", str(crds)]
    done = subprocess.run(["kubectl", "--kubeconfig", str(kubeconfig), *added], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the kinds of the Prometheus Operator could not be added: {done.stderr[-800:]}")
    (port,) = free_ports(1)
    command = [str(program), f"--web.listen-address=127.0.0.1:{port}"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, "KUBECONFIG": str(kubeconfig)})
    try:
        yield
    finally:
        stop([process])
