"""The pod that has a run's namespace deleted may do just that on real API servers, and does it when its time has come."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.kubernetes.conftest import ON_EACH
from tests.parts.apiserver import ApiServer

from fairlead.preflight.gather import pods
from fairlead.preflight.gather.keeper import keep
from fairlead.preflight.gather.pods import KEEPER, Place

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(300)]

PLACE = Place(run="keeper", namespace="fairlead-preflight-keeper", image="i", expires=0, seconds=60)
WAITS = 7.0


class Kubectl:
    """As an administrator, or as somebody else."""

    def __init__(self, server: ApiServer, folder: Path) -> None:
        self._config = server.write_kubeconfig(folder / "admin")

    def __call__(self, *words: str, given: str = "") -> str:
        command = ["kubectl", f"--kubeconfig={self._config}", *words]
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0 or words[0] == "auth", done.stderr
        return done.stdout.strip()

    def makes(self, *objects: dict[str, Any]) -> None:
        listed = {"apiVersion": "v1", "kind": "List", "items": objects}
        self("apply", "--validate=false", "-f", "-", given=json.dumps(listed))

    def phase(self, namespace: str) -> str:
        """Of a namespace; `gone` where there is none."""
        found = self("get", "namespace", namespace, "--ignore-not-found", "-o", "jsonpath={.status.phase}")
        return found or "gone"


@ON_EACH
def test_it_has_its_own_namespace_deleted_and_may_do_nothing_else(server: ApiServer, tmp_path: Path) -> None:
    kubectl = Kubectl(server, tmp_path)
    kubectl.makes(pods.namespace(PLACE), *(body for _, _, body in pods.keeper_rights(PLACE)))
    who = f"--as=system:serviceaccount:{PLACE.namespace}:{KEEPER}"
    for namespace, may in ((PLACE.namespace, "yes"), ("default", "no"), ("kube-system", "no")):
        assert kubectl("auth", "can-i", who, "-n", namespace, "delete", f"namespaces/{namespace}") == may
    for verb, what in (("list", "pods"), ("get", "secrets"), ("create", "pods"), ("delete", "pods")):
        assert kubectl("auth", "can-i", who, "-n", PLACE.namespace, verb, what) == "no"
    account = tmp_path / "account"
    account.mkdir()
    (account / "ca.crt").write_bytes(server.ca)
    (account / "token").write_text("nobody's")
    at = urlsplit(server.url)
    slept: list[float] = []

    def sleeps(seconds: float) -> None:
        slept.append(seconds)
        assert kubectl.phase(PLACE.namespace) == "Active", "before its time, and as nobody, it does nothing"
        if len(slept) == 2:
            (account / "token").write_text(kubectl("-n", PLACE.namespace, "create", "token", KEEPER))

    where = {"KUBERNETES_SERVICE_HOST": str(at.hostname), "KUBERNETES_SERVICE_PORT": str(at.port)}
    keep(PLACE.namespace, WAITS, where, account, sleeps)
    assert slept[0] == WAITS
    assert len(slept) == 2, "refused once, taken with a token that is good"
    assert kubectl.phase(PLACE.namespace) in ("Terminating", "gone")
