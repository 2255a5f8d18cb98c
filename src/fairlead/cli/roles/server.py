"""The control plane as a process."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import uvicorn

from fairlead.cli.roles.files import secret_in
from fairlead.cli.roles.oidc import oidc_of
from fairlead.cli.roles.process import tell_version
from fairlead.cli.roles.settings import RoleTree, ServerSettings
from fairlead.runtime.clock import SystemClock
from fairlead.runtime.errors import Invalid
from fairlead.runtime.health import READY, Health
from fairlead.server.api.application import create_app, create_context
from fairlead.server.config import ServerConfig
from fairlead.server.services import accounts

_GRACE_SECONDS = 5


async def main(settings: RoleTree) -> None:
    """Serves until a signal. Raises: Invalid for settings that cannot be."""
    mine = settings.server
    context = create_context(_config(mine), SystemClock().now)
    password = secret_in(mine.admin_password_file, "server.adminPasswordFile")
    await context.database.migrate()
    await accounts.ensure_administrator(context, password)
    config = uvicorn.Config(
        create_app(context),
        host=mine.host,
        port=mine.port,
        log_config=None,
        access_log=False,
        ws="websockets-sansio",
        ws_max_size=1 << 30,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        ssl_certfile=mine.tls_cert or None,
        ssl_keyfile=mine.tls_key or None,
    )
    await _serve(uvicorn.Server(config), settings)


async def _serve(server: uvicorn.Server, settings: RoleTree) -> None:
    """To its end, and with it what the process says of itself."""
    role = settings.role
    tell_version("server")
    health = asyncio.create_task(Health(role.health_host, role.health_port, lambda: READY).run(), name="health")
    serving = asyncio.create_task(server.serve(), name="server")
    done, _ = await asyncio.wait((health, serving), return_when=asyncio.FIRST_COMPLETED)
    if serving not in done:
        server.should_exit = True
        await serving
    health.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await health


def _config(mine: ServerSettings) -> ServerConfig:
    if not mine.database_url:
        raise Invalid(
            "The control plane is not told its database.",
            hint="server.databaseUrl: postgresql+asyncpg://USER:PASSWORD@HOST/DATABASE, or sqlite+aiosqlite:////FILE.",
        )
    key = secret_in(mine.signing_key_file, "server.signingKeyFile")
    try:
        signing_key = bytes.fromhex(key)
    except ValueError:
        signing_key = b""
    if len(signing_key) < 32:
        raise Invalid(
            f"{mine.signing_key_file} holds no signing key.",
            hint="Expected: 64 or more hexadecimal digits; `openssl rand -hex 32` prints some.",
        )
    web = Path(__file__).parents[2] / "server" / "web"
    return ServerConfig(
        database_url=mine.database_url,
        signing_key=signing_key,
        public_url=mine.public_url,
        web_folder=web if (web / "index.html").exists() else None,
        secure_cookies=bool(mine.tls_cert) or mine.public_url.startswith("https:"),
        oidc=oidc_of(mine.oidc, mine.public_url),
    )
