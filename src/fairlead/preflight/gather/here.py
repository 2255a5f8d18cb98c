"""What is asked from the machine that runs the command: where the chart comes from, and the sign-in provider as a browser sees it."""

from __future__ import annotations

import asyncio
from typing import Any

from fairlead.preflight.config import Config
from fairlead.preflight.gather import asks
from fairlead.preflight.gather.reach import Seen, reach
from fairlead.preflight.gather.services import document_of, oidc_facts

Facts = dict[str, Any]


async def facts(config: Config, ca: str) -> Facts:
    """Ways out, and the provider's documents, as seen from here. `ca`: PEM."""
    wanted = asks.egress_requests(config, ca)
    seen = dict(zip(wanted, await asyncio.gather(*(reach(each) for each in wanted.values())), strict=True))
    egress: dict[str, Facts] = {}
    for name, answers in asks.by_way(seen).items():
        egress[name] = {"from_workstation": asks.class_here(name, answers.values(), config)}
        if hosts := asks.hosts_led_to(answers.values()):
            egress[name]["hosts_seen"] = sorted(hosts)
    found: Facts = {"egress": egress}
    if ca:
        found["certificates"] = {"bundle": {"covers": asks.covered(wanted, seen)}}
    if (document := seen.get(f"{asks.EGRESS}sign-in")) is not None:
        found["oidc"] = await provider(document, config, ca, "authorization_endpoint_from_workstation")
    return found


async def provider(document: Seen, config: Config, ca: str, page_key: str) -> Facts:
    """What the documents of the sign-in provider tell. `document`: the first, as it was seen; `page_key`: of its page."""
    read = document_of(document)
    jwks = None
    if url := str(read.get("jwks_uri") or ""):
        jwks = await reach(asks.request(url, config, ca))
    found = oidc_facts(document, jwks if ca or not (jwks and jwks.untrusted) else None)
    if url := str(read.get("authorization_endpoint") or ""):
        found["authorization_endpoint"] = url
        page = await reach(asks.request(url, config, ca))
        if not page.untrusted:  # a browser may know that authority
            found[page_key] = page.status or 0
        if (begun := asks.redirect_request(url, config, ca)) is not None:
            found |= asks.redirect_facts(await reach(begun))
    return found
