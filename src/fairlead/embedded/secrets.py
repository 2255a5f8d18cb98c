"""What one embedded installation keeps secret: made once, in one file of mode 0600."""

from __future__ import annotations

import json
import os
import secrets
import uuid
from pathlib import Path

import msgspec
from msgspec import Struct

from fairlead.runtime.errors import Invalid


class Secrets(Struct, frozen=True, kw_only=True):
    """Keys and passwords of an installation."""

    signing_key: str
    admin_password: str
    cluster_id: str
    cluster_secret: str
    kube_token: str


def load_or_make(file: Path) -> Secrets:
    """The secrets in the file; made where there is none. Raises: Invalid where the file holds something else."""
    if file.exists():
        try:
            return msgspec.json.decode(file.read_bytes(), type=Secrets)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Invalid(
                f"{file} does not hold the keys of an installation: {error}.",
                hint="Put a copy of it back, or choose another folder with --data.",
                code="secrets-broken",
            ) from error
    made = Secrets(
        signing_key=secrets.token_hex(32),
        admin_password="-".join(secrets.choice(_WORDS) for _ in range(4)) + f"-{secrets.randbelow(9000) + 1000}",
        cluster_id=str(uuid.uuid4()),
        cluster_secret=secrets.token_hex(24),
        kube_token=secrets.token_hex(24),
    )
    write_private(file, json.dumps(msgspec.to_builtins(made), indent=1))
    return made


def write_private(file: Path, text: str) -> None:
    """Writes a file only its owner may read, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = file.with_name(file.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text)
    fresh.replace(file)


_WORDS_IN_LINES = """
anchor barge beacon bilge bollard bowline bridge buoy cabin canvas capstan cleat compass cove davit deck dinghy dock drift ebb
fathom fender fjord foghorn galley gangway harbour hatch hawser helm hull inlet jetty keel knot lagoon lantern lighthouse mast
mooring oar pier port quay reef rigging rope rudder sail shackle shoal spar stern tackle tide tiller wake wharf winch
"""
_WORDS = tuple(_WORDS_IN_LINES.split())
