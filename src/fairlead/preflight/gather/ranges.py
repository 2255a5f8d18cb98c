"""The range that addresses of Services come from (`preflight.keys.cluster`): no version of Kubernetes tells it in the same way."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fairlead.preflight.gather.api import Api, path_of, unknown
from fairlead.runtime.errors import FairleadError

Document = Mapping[str, Any]

_OUTSIDE: Final = "192.0.2.1"
"""No Service has this address: it is kept for documents. Source: RFC 5737."""
_RANGE: Final = re.compile(r"range of valid IPs is ([0-9A-Fa-f.:]+/\d+)")
_SERVICE: Final = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "fairlead-preflight-range"},
    "spec": {"clusterIP": _OUTSIDE, "ports": [{"port": 443}]},
}


def told_range(ranges: Sequence[Document], networks: Sequence[Document]) -> str:
    """As objects tell it, several separated by commas; empty where none does. `ranges`: ServiceCIDRs, the first is the API server's;
    `networks`: of OpenShift.
    """
    first = sorted(ranges, key=lambda each: each["metadata"]["name"] != "kubernetes")
    told = [cidr for each in first for cidr in (each.get("spec") or {}).get("cidrs") or ()]
    for each in networks:
        told += (each.get("status") or {}).get("serviceNetwork") or (each.get("spec") or {}).get("serviceNetwork") or ()
    return ",".join(told)


async def refused_range(api: Api) -> Any:
    """As the API server tells it when it refuses a Service with an address outside; nothing is made. Unknown with the reason."""
    try:
        _, said = await api.judged(path_of("v1", "services", namespace="default"), _SERVICE)
    except FairleadError as error:
        return unknown(error)
    found = _RANGE.search(said)
    return (
        found[1]
        if found
        else unknown(f"the API server does not tell the range of Services: {said or 'it refuses none'}")
    )
