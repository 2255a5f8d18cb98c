"""The verbs our roles use on a Kubernetes API: all of them, and nothing else.

`Client` builds every call through this table, the embedded store answers each, and the tests in `tests/kubernetes` hold
the store and real API servers against each other for each.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from fairlead.kube.transport import JSON, MERGE_PATCH, STRATEGIC_PATCH


class Verb(Struct, frozen=True, kw_only=True):
    """One kind of call: its method, subresource and content type."""

    name: str
    method: str
    subresource: str = ""
    content_type: str = ""
    is_repeatable: bool = True
    """Sent again when no answer came: a second time does no harm."""


DISCOVER: Final = Verb(name="discover", method="GET")
LIST: Final = Verb(name="list", method="GET")
WATCH: Final = Verb(name="watch", method="GET")
GET: Final = Verb(name="get", method="GET")
CREATE: Final = Verb(name="create", method="POST", content_type=JSON, is_repeatable=False)
DELETE: Final = Verb(name="delete", method="DELETE", content_type=JSON)
PATCH: Final = Verb(name="patch", method="PATCH", content_type=MERGE_PATCH)
PATCH_STATUS: Final = Verb(name="patch status", method="PATCH", subresource="status", content_type=MERGE_PATCH)
PATCH_CONDITIONS: Final = Verb(
    name="patch conditions", method="PATCH", subresource="status", content_type=STRATEGIC_PATCH
)
BIND: Final = Verb(name="bind", method="POST", subresource="binding", content_type=JSON, is_repeatable=False)
EVICT: Final = Verb(name="evict", method="POST", subresource="eviction", content_type=JSON, is_repeatable=False)
LOG: Final = Verb(name="log", method="GET", subresource="log")
EXEC: Final = Verb(name="exec", method="GET", subresource="exec", is_repeatable=False)
PORT_FORWARD: Final = Verb(name="port-forward", method="GET", subresource="portforward", is_repeatable=False)

VERBS: Final = (
    DISCOVER,
    LIST,
    WATCH,
    GET,
    CREATE,
    DELETE,
    PATCH,
    PATCH_STATUS,
    PATCH_CONDITIONS,
    BIND,
    EVICT,
    LOG,
    EXEC,
    PORT_FORWARD,
)
"""Every verb."""
