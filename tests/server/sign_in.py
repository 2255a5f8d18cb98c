"""A control plane that signs people in with a provider."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import uvicorn
from tests.parts.openid import CLIENT, SECRET
from tests.server.browser import Browser

from fairlead.cli.roles.oidc import oidc_of
from fairlead.cli.roles.settings import GroupRoleSettings, OidcSettings
from fairlead.server.api.application import create_app, create_context
from fairlead.server.config import ServerConfig
from fairlead.server.services import accounts
from fairlead.server.services.context import Context

ADMINS = GroupRoleSettings(group="gpu-admins", role="administrator")
VISION = GroupRoleSettings(group="vision", role="researcher", scope="project/north/vision")
PASSWORD = "the administrator's password"


class AnyProvider(Protocol):
    """A running one."""

    @property
    def issuer(self) -> str:
        """As its document says it."""
        ...

    @property
    def ca(self) -> Path:
        """The authority that signed its certificate."""
        ...


P = TypeVar("P", bound=AnyProvider)


@dataclass
class Clock:
    """This machine's, and what it is wrong by."""

    wrong_by: float = 0.0

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time() + self.wrong_by


@dataclass
class Site(Generic[P]):
    """A control plane at a fixed port that signs in with `provider`."""

    url: str
    provider: P
    folder: Path
    clock: Clock = field(default_factory=Clock)

    @asynccontextmanager
    async def serving(self, secret: str = SECRET, **changed: Any) -> AsyncIterator[Context]:
        """The control plane, set so."""
        file = self.folder / "client-secret"
        file.write_text(f"{secret}\n")
        usual = {
            "issuer": self.provider.issuer,
            "client_id": CLIENT,
            "client_secret_file": str(file),
            "scopes": ("openid", "profile", "email", "groups"),
            "group_roles": (ADMINS, VISION),
            "ca_file": str(self.provider.ca),
        }
        config = ServerConfig(
            database_url=f"sqlite+aiosqlite:///{self.folder}/fairlead.db",
            signing_key=b"k" * 32,
            public_url=self.url,
            oidc=oidc_of(OidcSettings(**(usual | changed)), self.url),
        )
        context = create_context(config, self.clock.now)
        port = int(self.url.rpartition(":")[2])
        server = uvicorn.Server(uvicorn.Config(create_app(context), port=port, log_config=None, ws="websockets-sansio"))
        task = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110  # uvicorn has no event to wait for
            await asyncio.sleep(0.01)
        await accounts.ensure_administrator(context, PASSWORD)
        try:
            yield context
        finally:
            server.should_exit = True
            await task

    def browser(self) -> Browser:
        """A new one, without cookies."""
        return Browser(self.url, self.provider.ca)

    async def sign_in(self, subject: str, page: str = "/") -> dict[str, Any]:
        """In a new browser."""
        async with self.browser() as browser:
            return await browser.sign_in(subject, page)
