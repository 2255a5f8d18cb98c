"""What `fairlead up` can be told, and what of it cannot be."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

from msgspec import Struct

from fairlead.embedded.nodes.container import engine
from fairlead.embedded.nodes.machine import NodeSpec, simulated_nodes, this_machine
from fairlead.runtime.errors import Invalid


class UpOptions(Struct, frozen=True, kw_only=True):
    """What `fairlead up` was told."""

    data: Path
    host: str = "127.0.0.1"
    port: int = 8470
    simulate: str = ""
    gpus: int = 4
    """Simulated GPUs of this machine where it has no real ones."""
    runtime: str = "process"
    tls_cert: str = ""
    tls_key: str = ""
    web: Path | None = None


def check(options: UpOptions) -> None:
    """Refuses options that cannot be. Raises: Invalid."""
    if options.host not in ("127.0.0.1", "localhost", "::1") and not options.tls_cert:
        raise Invalid(
            f"Listening on {options.host} lets other machines in, and passwords would travel in the clear.",
            hint="Give --tls-cert and --tls-key, or leave --host out to listen on this machine only.",
        )
    _check_tls(options)
    nodes_of(options)
    if options.runtime == "container" and engine() is None:
        raise Invalid(
            "There is no docker or podman on this machine to run containers with.",
            hint="Install one, or leave --runtime out: workloads then run as processes of this machine.",
        )


def nodes_of(options: UpOptions) -> tuple[NodeSpec, ...]:
    """The nodes there will be. Raises: Invalid for a --simulate nobody can read."""
    if not options.simulate:
        return (this_machine(options.runtime, options.gpus),)
    try:
        return simulated_nodes(options.simulate)
    except ValueError:
        if form := re.fullmatch(r"([1-9]\d*)x(\d+)", options.simulate):
            raise Invalid(
                f"--simulate {options.simulate} asks for {form[1]} nodes with {form[2]} GPUs each, which cannot be simulated.",
                hint="Ask for 1 to 99999 nodes with 0 to 99 GPUs each, such as 4x8.",
            ) from None
        raise Invalid(
            f"--simulate {options.simulate!r} is not understood.",
            hint="Write NODESxGPUS with at least one node, such as 4x8.",
        ) from None


def _check_tls(options: UpOptions) -> None:
    if not options.tls_cert and not options.tls_key:
        return
    if not options.tls_cert:
        raise Invalid("--tls-key is given without --tls-cert.", hint="Give the certificate file as well.")
    for name, file in (("--tls-cert", options.tls_cert), ("--tls-key", options.tls_key)):
        if file and not Path(file).is_file():
            raise Invalid(f"{name} {file}: there is no such file.", hint="Give the path of a file in PEM form.")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(options.tls_cert, options.tls_key or None, lambda: "")
    except OSError as error:
        files = " and ".join(file for file in (options.tls_cert, options.tls_key) if file)
        raise Invalid(
            f"{files} cannot be used for TLS: {error.strerror or error}.",
            hint="Give --tls-cert a certificate and --tls-key its key, both in PEM form and without a password.",
        ) from error
