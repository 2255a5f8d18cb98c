"""The built web pages: files by name, and the one page for the addresses it knows."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse, HTMLResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

_SECURITY = {
    "Content-Security-Policy": (
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
PAGES = ("", "workloads", "projects", "nodes", "cli")
"""First parts of the addresses that the pages know; any other gets their "no such page", with its status."""
_NO_PAGES = ("api", "apis", "openapi", "v1", "metrics")
_MISSING = """<!doctype html><meta charset="utf-8"><title>Fairlead</title>
<p>This server was started without its web pages. Build them with <code>make web</code>, or use the <code>fairlead</code> command.</p>"""


def install(app: FastAPI, folder: Path | None) -> None:
    """Serves the pages of `folder`; without one, a page that says how to build them."""
    if folder is not None and (folder / "assets").is_dir():
        app.mount("/assets", _Assets(directory=folder / "assets"), name="assets")

    files = {f.name: f for f in folder.iterdir() if f.is_file()} if folder is not None and folder.is_dir() else {}

    @app.get("/{path:path}", include_in_schema=False)
    async def page(path: str) -> Response:
        first, _, _ = path.partition("/")
        if path in files and path != "index.html":
            return FileResponse(files[path])
        if first in _NO_PAGES or "." in path.rpartition("/")[2].removesuffix("index.html"):
            raise HTTPException(404, "no such path")
        if "index.html" not in files:
            return HTMLResponse(_MISSING, 503)
        known = first in PAGES or path == "index.html"
        return FileResponse(files["index.html"], 200 if known else 404, headers=_SECURITY)


class _Assets(StaticFiles):
    """Files whose name holds the hash of their content: kept for a year."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        """The file, with its lifetime."""
        answer = super().file_response(*args, **kwargs)  # type: ignore[arg-type]  # passed through untouched
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return answer
