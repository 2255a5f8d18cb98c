"""The REST API, spoken with the standard library: starting fast matters more here than anything else."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import socket
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from fairlead.runtime.errors import (
    Bug,
    Conflict,
    Denied,
    FairleadError,
    Invalid,
    NotFound,
    Retryable,
    SignedOut,
    Unreachable,
)
from fairlead.runtime.settings import environment
from fairlead.runtime.trust import trusting

_TIMEOUT_SECONDS = 30.0
_MARGIN_SECONDS = 60.0

_ERRORS: dict[int, type[FairleadError]] = {
    401: SignedOut,
    403: Denied,
    404: NotFound,
    409: Conflict,
    500: Bug,
    503: Retryable,
}


def data_folder() -> Path:
    """Where `fairlead up` keeps its data: the folder named with --data, else the usual one."""
    return named_data() or usual_data()


def named_data() -> Path | None:
    """The folder that `fairlead --data DIR` names, absolute; None where none is named."""
    context = click.get_current_context(silent=True)
    named = context.find_root().params.get("data") if context and context.parent else None
    return named.expanduser().absolute() if isinstance(named, Path) else None


def usual_data() -> Path:
    """$FAIRLEAD_DATA, else below the user's data folder."""
    env = environment()
    if env.get("FAIRLEAD_DATA"):
        return Path(env["FAIRLEAD_DATA"])
    return Path(env.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "fairlead"


class Rest:
    """A signed-in client of one server.

    Which one: the one running on `data` where that is given; else $FAIRLEAD_URL with $FAIRLEAD_CLIENT_ID and
    $FAIRLEAD_CLIENT_SECRET (an access key), or as `fairlead sign-in` signed in there; else the one `fairlead up` runs here.
    """

    def __init__(self, data: Path | None = None) -> None:
        data = data or named_data()
        env = {} if data else environment()
        self._data = data or usual_data()
        self._local = not env.get("FAIRLEAD_URL")
        local = self._local_state() if self._local else {}
        self.url = _address(env.get("FAIRLEAD_URL", "")) or self._local_url(local)
        self._key = (env.get("FAIRLEAD_CLIENT_ID", ""), env.get("FAIRLEAD_CLIENT_SECRET", ""))
        ca = env.get("FAIRLEAD_CA_FILE") or local.get("ca")
        told_by = (
            "FAIRLEAD_CA_FILE is" if env.get("FAIRLEAD_CA_FILE") else "The certificate of this machine's Fairlead was"
        )
        self._tls = _tls(ca, told_by) if self.url.startswith("https") else None
        self._token = ""
        self._said: set[str] = set()

    def get(self, path: str, **query: Any) -> Any:
        """The decoded answer of a GET."""
        return self.call("GET", path, query=query)

    def post(self, path: str, body: Any = None, **query: Any) -> Any:
        """The decoded answer of a POST."""
        return self.call("POST", path, body=body, query=query)

    def put(self, path: str, body: Any) -> Any:
        """The decoded answer of a PUT."""
        return self.call("PUT", path, body=body)

    def delete(self, path: str) -> Any:
        """The decoded answer of a DELETE."""
        return self.call("DELETE", path)

    def call(self, method: str, path: str, *, body: Any = None, query: dict[str, Any] | None = None) -> Any:
        """The decoded answer.

        Raises: the error class that says the remedy; Unreachable where nobody answers.
        """
        with self._open(method, path, body, query, _TIMEOUT_SECONDS) as answer, self._whole():
            text = answer.read()
        return json.loads(text) if text else None

    def stream(self, path: str, **query: Any) -> Iterator[bytes]:
        """The body of a GET in pieces, as they come. Raises: Unreachable where the server stops before its end."""
        with self._open("GET", path, None, query, None) as answer:
            while piece := self._piece(answer):
                yield piece

    def lost(self) -> Unreachable:
        """What to raise where the server went away in the middle of something."""
        return Unreachable(
            f"The connection to the server at {self.url} was lost: it stopped, or the network broke.",
            hint=f"Workloads go on without it. {self._remedy()} Then ask again.",
            code="connection-lost",
        )

    def socket(self, path: str) -> tuple[str, dict[str, Any]]:
        """(address, further arguments of `connect`) of a WebSocket of the server."""
        options = {"additional_headers": {"Authorization": f"Bearer {self.token()}"}, "max_size": None}
        return self.url.replace("http", "ws", 1) + path, {**options, **({"ssl": self._tls} if self._tls else {})}

    def token(self) -> str:
        """A bearer token, kept in a private file between calls."""
        if not self._token:
            self._token = self._kept_token() or self._new_token()
        return self._token

    def _open(self, method: str, path: str, body: Any, query: dict[str, Any] | None, timeout: float | None) -> Any:
        for attempt in (1, 2):
            try:
                return self._send(method, path, body, query, timeout, self.token())
            except SignedOut:
                if attempt == 2:
                    raise
                self._token = self._new_token()
        raise AssertionError("two attempts were made")

    def _send(
        self, method: str, path: str, body: Any, query: dict[str, Any] | None, timeout: float | None, token: str
    ) -> Any:
        pairs = {
            k: str(v).lower() if isinstance(v, bool) else v for k, v in (query or {}).items() if v not in (None, "")
        }
        url = self.url + path + (f"?{urllib.parse.urlencode(pairs, doseq=True)}" if pairs else "")
        request = urllib.request.Request(url, method=method)
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        try:
            answer = urllib.request.urlopen(request, timeout=timeout, context=self._tls)
            self._say(answer.headers.get("x-fairlead-notice") or "")
            return answer
        except urllib.error.HTTPError as error:
            document = _document(error)
            if error.code == 500 and not document:  # what a server that stops cuts off ends bare
                raise self.lost() from None
            raise error_of(error.code, document) from None
        except (urllib.error.URLError, OSError) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, ssl.SSLError):
                raise Unreachable(f"The server at {self.url}: {_why(reason)}.", code="not-trusted") from None
            raise Unreachable(
                f"The server at {self.url} does not answer: {_why(reason)}.", hint=self._remedy()
            ) from None
        except http.client.HTTPException:
            raise self.lost() from None

    def _say(self, notice: str) -> None:
        """What the server has to say to everyone, once a command."""
        if notice and notice not in self._said:
            self._said.add(notice)
            print(f"Note: {notice}", file=sys.stderr)  # noqa: T201  # beside the output, which programs read

    def _remedy(self) -> str:
        from fairlead.cli.words import command

        return (
            f"Start it with `{command('up', self._data)}`."
            if self._local
            else "Check the address in FAIRLEAD_URL and the network."
        )

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """Within it an answer that ends too early is a lost connection."""
        try:
            yield
        except (http.client.HTTPException, OSError):
            raise self.lost() from None

    def _piece(self, answer: Any) -> bytes:
        with self._whole():
            return bytes(answer.read1(64 << 10))

    def _local_state(self) -> dict[str, Any]:
        """What the Fairlead of this machine tells of itself; nothing where none runs."""
        try:
            found = json.loads((self._data / "up.json").read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _local_url(self, state: dict[str, Any]) -> str:
        if "url" in state:
            return str(state["url"])
        from fairlead.cli.words import command

        raise Unreachable(
            "Fairlead does not run on this machine.",
            hint=f"Start it with `{command('up', self._data)}`, or name a server in FAIRLEAD_URL.",
            code="not-running",
        )

    def _new_token(self) -> str:
        if self._key[0]:
            body = {"grantType": "client_credentials", "clientID": self._key[0], "clientSecret": self._key[1]}
        elif self._local:
            password = (self._data / "admin-password").read_text().strip()
            body = {"grantType": "password", "username": "admin", "password": password}
        else:
            raise SignedOut(
                f"You are not signed in to {self.url}.",
                hint="Run `fairlead sign-in`; or, for programs, set FAIRLEAD_CLIENT_ID and FAIRLEAD_CLIENT_SECRET to an access key: "
                'whoever is signed in there makes one by `POST /api/v1/access-keys` with the body {"name": "NAME"}.',
            )
        token = self._token_for(body)
        if self._local:
            self._keep(token)
        return token

    def sign_in(self, code: str, verifier: str) -> None:
        """Act from now on as whoever gave out the code. Raises: Denied where it is none."""
        token = self._token_for({"grantType": "authorization_code", "code": code, "codeVerifier": verifier})
        self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._keep(token)
        self._token = token

    def sign_out(self) -> None:
        """Forget what `sign_in` got."""
        if not self._local:
            self._token_file().unlink(missing_ok=True)

    def _token_for(self, body: dict[str, str]) -> str:
        with self._send("POST", "/api/v1/token", body, None, _TIMEOUT_SECONDS, "") as answer:
            return str(json.loads(answer.read())["accessToken"])

    def _token_file(self) -> Path:
        return self._data / ("cli-token.json" if self._local else "sign-in.json")

    def _kept_token(self) -> str:
        if self._key[0]:
            return ""
        try:
            kept = json.loads(self._token_file().read_text())
        except (OSError, ValueError):
            return ""
        token = str(kept.get("token", ""))
        return token if kept.get("url") == self.url and _expiry(token) > time.time() + _MARGIN_SECONDS else ""

    def _keep(self, token: str) -> None:
        file = self._token_file()
        fresh = file.with_suffix(".new")
        with contextlib.suppress(OSError):  # on a full disk the next call signs in again
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
                json.dump({"url": self.url, "token": token}, out)
            fresh.replace(file)


def _expiry(token: str) -> float:
    try:
        payload = token.split(".")[1]
        return float(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"])
    except (IndexError, ValueError, KeyError):
        return 0.0


def _document(answer: urllib.error.HTTPError) -> dict[str, Any]:
    """The error as the server tells it; empty where it does not."""
    try:
        found = json.loads(answer.read())
    except (ValueError, OSError, http.client.HTTPException):
        return {}
    return found if isinstance(found, dict) else {}


def _tls(authority: str | None, told_by: str) -> ssl.SSLContext:
    try:
        return trusting(authority)
    except OSError as error:
        raise Invalid(
            f"{told_by} {authority!r}, which cannot be read as certificates.",
            hint="Name a file in PEM form in FAIRLEAD_CA_FILE, or unset it.",
            code="bad-authority",
        ) from error


def _address(url: str) -> str:
    """The address of a server, without a slash at its end; empty where there is none. Raises: Invalid where it is none."""
    try:
        parts = urllib.parse.urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_one = False
    if url and not is_one:
        raise Invalid(
            f"FAIRLEAD_URL is {url!r}, which is not an address.",
            hint="Write the server's address with http:// or https://, such as https://fairlead.example.com, or unset it.",
            code="bad-address",
        )
    return url.rstrip("/")


def _why(error: object) -> str:
    """Why no connection came about, in words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}); FAIRLEAD_CA_FILE names another authority"
    known = next((words for kind, words in _WHY if isinstance(error, kind)), "")
    return known or (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")


_WHY: tuple[tuple[type[Exception], str], ...] = (
    (ConnectionRefusedError, "nothing listens there"),
    (ConnectionError, "it broke the connection off"),
    (socket.gaierror, "no machine of that name is known"),
    (TimeoutError, f"no word came within {_TIMEOUT_SECONDS:.0f} s"),
    (ssl.SSLError, "it does not speak TLS as expected; is the address https where it should be http?"),
)
"""First match wins."""


def error_of(status: int, document: dict[str, Any]) -> FairleadError:
    """The error that a refusal of the server stands for."""
    message = str(document.get("message") or f"The server answered {status}.")
    hint = str(document.get("details") or "")
    code = str(document.get("reason") or "")
    issues = document.get("complianceIssues") or []
    if status in (400, 422):
        return Invalid(
            message, hint="" if issues else hint, code=code, fields={i["field"]: i["details"] for i in issues}
        )
    kind = _ERRORS.get(status, FairleadError)
    return kind(message, hint=hint, code=code)
