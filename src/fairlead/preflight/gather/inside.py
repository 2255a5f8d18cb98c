"""What a pod of the installed product is answered by the services that it was told of: it asks as others do, and writes nothing.

Authorities and credentials are not kept where the daily checks read what was installed, so what needs them is not asked, and an answer
that is signed by an authority unknown here says nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from fairlead.preflight.checks.ways import is_proxied, way_named
from fairlead.preflight.config import Config
from fairlead.preflight.gather import asks, here
from fairlead.preflight.gather.reach import Ask, reach

Facts = dict[str, Any]

_SIGN_IN: Final = "sign-in"


async def facts(config: Config, nodes: list[Facts], now: float) -> Facts:
    """Facts below `egress`, `oidc`, `prometheus` and `metrics`; without what nobody answered to us. `nodes`: facts of nodes."""
    wanted = _requests(config)
    seen = dict(zip(wanted, await asyncio.gather(*(reach(each) for each in wanted.values())), strict=True))
    answers = {key: each for key, each in seen.items() if not each.untrusted}
    found: Facts = asks.metrics_of(answers, {}, nodes)
    if (document := answers.get(asks.EGRESS + _SIGN_IN)) is not None:
        found["egress"] = {_SIGN_IN: asks.egress_facts(_SIGN_IN, document, config, now)}
        found["oidc"] = await here.provider(document, config, "", "authorization_endpoint_from_pod")
    return found


def _requests(config: Config) -> Mapping[str, Ask]:
    found: dict[str, Ask] = {}
    if not config.prometheus.token_secret:
        found |= asks.prometheus_requests(config, "", "")
    way = way_named(_SIGN_IN, config)
    if not way.idle and not (config.proxy.credentials_secret and any(is_proxied(*each, config) for each in way.hosts)):
        key = asks.EGRESS + _SIGN_IN
        found[key] = asks.egress_requests(config, "")[key]
    return found
