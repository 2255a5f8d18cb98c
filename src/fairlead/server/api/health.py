"""Routes for machines that look after the server: whether it is well, and what it speaks."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse

import fairlead
from fairlead.server.api.dependencies import Ctx
from fairlead.server.services.context import is_well


def install(app: FastAPI) -> None:
    """Adds them; nobody has to sign in for these."""

    @app.get("/healthz", include_in_schema=False)
    async def healthz(context: Ctx) -> JSONResponse:
        well = await is_well(context)
        body = {"status": "ok" if well else "the database does not answer", "version": fairlead.__version__}
        return JSONResponse(body, 200 if well else 503)

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> dict[str, Any]:
        return app.openapi()
