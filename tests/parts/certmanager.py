"""cert-manager: its controllers and its injector as one program, and its definitions, from its Go module."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.parts.apiserver import stop
from tests.parts.build import CERT_MANAGER, Part, binary
from tests.parts.definitions import definitions

PART = Part("cert-manager", CERT_MANAGER)
_MODULE = "github.com/cert-manager/cert-manager"


@contextlib.contextmanager
def cert_manager(kubeconfig: Path, log: Path) -> Iterator[None]:
    """It runs on that API server, whose kinds it has added. Raises: Unavailable, RuntimeError."""
    program, definitions = parts()
    added = ["apply", "--server-side", "-f", str(definitions)]
    done = subprocess.run(["kubectl", "--kubeconfig", str(kubeconfig), *added], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"cert-manager's kinds could not be added: {done.stderr[-800:]}")
    with log.open("wb") as out:
        process = subprocess.Popen([program, str(kubeconfig)], stdout=out, stderr=out)
    try:
        yield
    finally:
        stop([process])


def parts() -> tuple[Path, Path]:
    """Give the program and the folder of its definitions, once they are there. Raises: Unavailable, RuntimeError."""
    return binary(PART), definitions(PART, _MODULE, "deploy", "crds")
