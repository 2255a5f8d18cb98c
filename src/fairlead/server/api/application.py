"""The control plane as one ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI

import fairlead
from fairlead.runtime.disk import shortage
from fairlead.server.api import (
    access,
    accounts,
    agent,
    clusters,
    health,
    live,
    organisation,
    polling,
    problems,
    sign_in,
    standing,
    web,
    workloads,
)
from fairlead.server.api.compat import UnwrapDoubleJson
from fairlead.server.api.notices import Notices
from fairlead.server.auth.grants import Grants
from fairlead.server.auth.oidc.provider import Provider
from fairlead.server.auth.tokens import Tokens
from fairlead.server.config import ServerConfig
from fairlead.server.db.database import Database
from fairlead.server.services.channels import Channels
from fairlead.server.services.connections import Agents
from fairlead.server.services.context import Context
from fairlead.server.services.watch import Watch


def create_context(config: ServerConfig, now: Callable[[], float]) -> Context:
    """Everything services work with."""
    return Context(
        config=config,
        database=Database(config.database_url),
        tokens=Tokens(config.signing_key),
        grants=Grants(config.signing_key),
        now=now,
        watch=Watch(),
        channels=Channels(),
        agents=Agents(),
        provider=Provider(config.oidc.client, config.oidc.line, now) if config.oidc else None,
        one_time_keys={config.one_time_key} if config.one_time_key else set(),
    )


def create_app(context: Context) -> FastAPI:
    """The application; it migrates the database when it starts."""

    links = polling.Links()

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        await context.database.migrate()
        yield
        await links.end()
        await context.database.close()

    app = FastAPI(
        title="Fairlead",
        version=fairlead.__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=life,
    )
    app.state.context = context
    app.state.links = links
    app.add_middleware(UnwrapDoubleJson)
    if (file := context.database.file) is not None:
        app.add_middleware(Notices, notice=lambda: shortage(file.parent))
    problems.install(app)
    for routes in (access, accounts, sign_in, clusters, organisation, workloads, live, standing, agent, polling):
        app.router.routes.extend(routes.router.routes)  # `include_router` would build each of them a second time
    health.install(app)
    web.install(app, context.config.web_folder)
    return app
