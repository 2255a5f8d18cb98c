"""`python -m tests.parts.install`: gets what the tests need beyond Python packages, and says what it could not get.

Nothing here is fatal: a test that misses its part is skipped with the reason.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.parts import (
    certmanager,
    gluster,
    keycloak,
    nfs,
    openid,
    podman,
    postgres,
    prometheus,
    prometheus_operator,
    proxies,
    registry,
)
from tests.parts.build import OLDER, Part, Unavailable, binary, shared_caches
from tests.parts.cluster import names, programs
from tests.parts.debian import program
from tests.parts.helm import helm

PROGRAMS = (
    ("chromium", "chromium"),
    ("mmdebstrap", "mmdebstrap"),
    ("faketime", "faketime"),
    *gluster.PROGRAMS,
    *nfs.PROGRAMS,
    *podman.PROGRAMS,
    *prometheus.PROGRAMS,
    *proxies.PROGRAMS,
    *registry.PROGRAMS,
)


def main() -> None:
    """Installs packages, builds components; one line each."""
    for name, *packages in PROGRAMS:
        _tell(f"package {packages[0]}", partial(program, name, *packages))
    if postgres.tools() is None:
        _tell("package postgresql", postgres.install)
    _tell("npm package oidc-provider", openid.modules)
    _tell(f"Keycloak {keycloak.VERSION}", keycloak.archive)
    cluster_parts()
    _tell(f"kube-apiserver {OLDER} (built once, some minutes)", partial(binary, Part("kube-apiserver", OLDER)))
    _tell(f"{certmanager.PART} (built once, some minutes)", certmanager.parts)
    _tell(f"{names.PART} (built once, some minutes)", partial(binary, names.PART))
    _tell(f"{prometheus_operator.PART} (built once, some minutes)", prometheus_operator.parts)
    for major in (3, 4):
        _tell(f"Helm {major} (built once, some minutes)", partial(helm, major))


def cluster_parts() -> None:
    """What a real cluster is made of; the API server of other tests is among it."""
    for name, *packages in programs.PACKAGES:
        _tell(f"package {packages[0]}", partial(program, name, *packages))
    _tell("package containernetworking-plugins", programs.network_plugins)
    with shared_caches() as caches:
        for part in programs.BUILT:
            _tell(f"{part} (built once, some minutes)", partial(binary, part, Path(caches)))


def _tell(what: str, get: Callable[[], object]) -> None:
    began = time.monotonic()
    patience = threading.Timer(1, lambda: print(f"Getting {what} ...", file=sys.stderr, flush=True))
    patience.start()
    try:
        get()
    except (Unavailable, RuntimeError) as error:
        print(f"missing: {what}: {error}", file=sys.stderr, flush=True)
        return
    finally:
        patience.cancel()
    took = time.monotonic() - began
    if took > 1:
        print(f"got {what} in {took:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
