"""`fairlead sign-in` and `sign-out`: the pages sign in, by password or by a provider, and give this command a code."""

from __future__ import annotations

import hmac
import http.server
import secrets
import time
import webbrowser
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import click

from fairlead.cli.rest import Rest, named_data
from fairlead.runtime.errors import Invalid, Retryable
from fairlead.runtime.settings import environment

_WAIT_SECONDS = 300.0
_DONE = b"<!doctype html><meta charset=utf-8><title>Fairlead</title><p>Signed in. Go back to the terminal; this page can be closed."
_NOT_OURS = b"<!doctype html><meta charset=utf-8><title>Fairlead</title><p>This is not what the command waits for."


@click.command(name="sign-in")
@click.option("--no-browser", is_flag=True, help="Print an address to open anywhere, and ask for the code it shows.")
def sign_in(no_browser: bool) -> None:
    """Sign in to the server named in FAIRLEAD_URL, with a browser: there by password or by your provider.

    What the server gives is kept in a private file below the data folder, and is good for some hours.

    \b
    Example:
      export FAIRLEAD_URL=https://fairlead.example.com
      fairlead sign-in
    """
    rest = _remote()
    verifier = secrets.token_urlsafe(32)
    challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    code = _by_hand(rest.url, challenge) if no_browser else _by_browser(rest.url, challenge)
    rest.sign_in(code, verifier)
    click.echo(f"Signed in to {rest.url} as {rest.get('/api/fairlead/v1/session')['username']}.")


@click.command(name="sign-out")
def sign_out() -> None:
    """Forget the sign-in to the server named in FAIRLEAD_URL.

    \b
    Example:
      fairlead sign-out
    """
    rest = _remote()
    rest.sign_out()
    click.echo(f"Signed out of {rest.url}.")


def _remote() -> Rest:
    if named_data() or not environment().get("FAIRLEAD_URL"):
        raise Invalid(
            "No server is named to sign in to.",
            hint="Set FAIRLEAD_URL to its address; the one that `fairlead up` runs here needs no sign-in.",
        )
    return Rest()


def _by_hand(url: str, challenge: str) -> str:
    click.echo(f"Open {url}/cli?{urlencode({'challenge': challenge})}")
    return str(click.prompt("Code", prompt_suffix=": ")).strip()


def _by_browser(url: str, challenge: str) -> str:
    """The code as the browser brings it to a port of the loopback address; by hand where no browser is to be had."""
    with _Listener() as listener:
        asked = {"challenge": challenge, "port": listener.server_port, "state": listener.state}
        address = f"{url}/cli?{urlencode(asked)}"
        if not webbrowser.open(address):
            click.echo("There is no browser here.", err=True)
            return _by_hand(url, challenge)
        click.echo(f"Your browser has been opened at {url}; if it has not, open {address}")
        return listener.wait()


class _Listener(http.server.HTTPServer):
    """Takes one code from whoever knows the state. Others on this machine may knock, and are told nothing."""

    def __init__(self) -> None:
        self.state = secrets.token_urlsafe(24)
        self.code = ""
        super().__init__(("127.0.0.1", 0), _Handler)

    def wait(self) -> str:
        """The code. Raises: Retryable where none comes in time."""
        end = time.monotonic() + _WAIT_SECONDS
        while not self.code and (left := end - time.monotonic()) > 0:
            self.timeout = left
            self.handle_request()
        if not self.code:
            raise Retryable(
                f"Nobody signed in within {_WAIT_SECONDS / 60:.0f} minutes.",
                hint="Run it again; with --no-browser where the browser is on another machine.",
            )
        return self.code


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Listener
    timeout = 10.0

    def do_GET(self) -> None:
        """Reads the code out of the address."""
        asked = parse_qs(urlsplit(self.path).query)
        code, state = ((asked.get(name) or [""])[0] for name in ("code", "state"))
        is_ours = bool(code) and hmac.compare_digest(state.encode(), self.server.state.encode())
        self.send_response(200 if is_ours else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(_DONE if is_ours else _NOT_OURS)
        if is_ours:
            self.server.code = code

    def log_message(self, *_: Any) -> None:
        """Says nothing: the address holds the code."""
