"""What has a run's namespace deleted should its program have been killed: a pod that may do that and nothing else."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its token and the authority of the API server. Source: Kubernetes, service account token volumes."""
_AGAIN_SECONDS: Final = 10.0
_PATIENCE: Final = 10.0
"""So long one answer is waited for. Units: seconds."""


def keep(
    namespace: str,
    seconds: float,
    environment: Mapping[str, str],
    account: Path = ACCOUNT,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait, then have the namespace deleted; where the API server does not take it, again and again."""
    sleep(seconds)
    while not _is_taken(namespace, environment, account):
        sleep(_AGAIN_SECONDS)


def _is_taken(namespace: str, environment: Mapping[str, str], account: Path) -> bool:
    """Whether the API server took the request, or has no such namespace. The token is read anew: nodes renew it."""
    try:
        trusted = ssl.create_default_context(cafile=str(account / "ca.crt"))
        host, port = environment["KUBERNETES_SERVICE_HOST"], int(environment["KUBERNETES_SERVICE_PORT"])
        bearer = {"Authorization": f"Bearer {(account / 'token').read_text()}"}
        with closing(http.client.HTTPSConnection(host, port, timeout=_PATIENCE, context=trusted)) as line:
            line.request("DELETE", f"/api/v1/namespaces/{namespace}", headers=bearer)
            status = line.getresponse().status
    except (OSError, http.client.HTTPException):
        return False
    return status // 100 == 2 or status in (http.client.NOT_FOUND, http.client.CONFLICT)
