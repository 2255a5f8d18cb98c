"""The chart's webhooks with a certificate that cert-manager makes: its real controllers and injector, on a real API server.

A kubelet's part, to mount the secret, and the Service's, to lead to a process of this machine, are played here.
"""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from tests.kubernetes.processes import Process, processes, until
from tests.kubernetes.test_chart import CHART, Helm
from tests.parts.apiserver import ApiServer, free_ports
from tests.parts.build import NEWEST, Unavailable
from tests.parts.certmanager import cert_manager
from tests.parts.helm import helm

pytestmark = [pytest.mark.kubernetes, pytest.mark.slow, pytest.mark.timeout(1500)]

NAMESPACE, SECRET = "certified", "fairlead-webhook"
WEBHOOKS = ("mutatingwebhookconfiguration", "validatingwebhookconfiguration")
VALUES = "admission.certManager.enabled=true,admission.certManager.issuerName=ours,node.enabled=false,node.createNamespaces=false"


class Certified:
    """The chart, installed beside cert-manager on an API server."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self.kubeconfig, self.folder = kubeconfig, folder

    def kubectl(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """The finished command."""
        command = ["kubectl", "--kubeconfig", str(self.kubeconfig), *words]
        return subprocess.run(command, capture_output=True, text=True, input=given, timeout=240)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """An object of the chart's namespace, or of none; empty while there is none."""
        done = self.kubectl("-n", NAMESPACE, "get", kind, name, "-o", "json")
        return dict(json.loads(done.stdout)) if done.returncode == 0 else {}

    def make(self, *objects: dict[str, Any]) -> None:
        """Have these."""
        done = self.kubectl(
            "apply", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        )
        assert done.returncode == 0, done.stderr

    def patch(self, kind: str, name: str, patch: dict[str, Any], *words: str) -> None:
        """A merge patch."""
        done = self.kubectl("-n", NAMESPACE, "patch", kind, name, "--type=merge", "-p", json.dumps(patch), *words)
        assert done.returncode == 0, done.stderr

    def data(self) -> dict[str, bytes]:
        """What is in the webhooks' secret."""
        return {key: base64.b64decode(value) for key, value in self.get("secret", SECRET).get("data", {}).items()}

    def mount(self) -> Path:
        """The folder in which a kubelet has put the secret as it is now."""
        folder = self.folder / "webhook"
        folder.mkdir(exist_ok=True)
        for key, value in self.data().items():
            (folder / key).write_bytes(value)
        return folder

    def trusts(self) -> bool:
        """Whether both webhooks know the authority of the secret."""
        found = [self.get(kind, "fairlead")["webhooks"][0]["clientConfig"].get("caBundle", "") for kind in WEBHOOKS]
        return all(base64.b64decode(bundle) == self.data()["ca.crt"] for bundle in found)

    def refusal(self) -> str:
        """What is said to who asks for seven times a GPU in a project's namespace."""
        meta = {"name": "odd", "namespace": "runai-certified", "annotations": {"gpu-fraction": "7"}}
        spec = {"containers": [{"name": "c", "image": "x"}]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}
        done = self.kubectl("create", "-f", "-", given=json.dumps(pod))
        assert done.returncode != 0, "nobody refused it"
        return done.stderr


@pytest.fixture
def certified(servers: Callable[[str], ApiServer], tmp_path: Path) -> Iterator[Certified]:
    """An issuer that signs with an authority of its own, and the chart that names it; taken away afterwards."""
    kubeconfig = servers(NEWEST).write_kubeconfig(tmp_path / "kubeconfig")
    found = Certified(kubeconfig, tmp_path)
    try:
        program = Helm(helm(3), tmp_path, kubeconfig)
        running = cert_manager(kubeconfig, tmp_path / "cert-manager.log")
        running.__enter__()
    except Unavailable as reason:
        pytest.skip(str(reason))
    try:
        found.make(*AUTHORITY)
        program.ok("install", "fairlead", str(CHART), "-n", NAMESPACE, "--no-hooks", "--set", VALUES)
        yield found
        program.ok("uninstall", "fairlead", "-n", NAMESPACE, "--no-hooks")
    finally:
        running.__exit__(None, None, None)


def _named(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "cert-manager.io/v1", "kind": kind, "metadata": meta, "spec": spec}


AUTHORITY: tuple[dict[str, Any], ...] = (
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
    {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "runai-certified", "labels": {"fairlead.dev/project": "certified"}},
    },
    _named("Issuer", "itself", selfSigned={}),
    _named(
        "Certificate",
        "authority",
        isCA=True,
        commonName="the company's authority",
        secretName="authority",
        issuerRef={"name": "itself"},
    ),
    _named("Issuer", "ours", ca={"secretName": "authority"}),
)


def _led_to(certified: Certified, port: int) -> None:
    """The Service is a name of this machine, called by the name it has in the cluster."""
    to = {"type": "ExternalName", "externalName": "localhost", "selector": None, "clusterIP": None, "clusterIPs": None}
    certified.patch("service", "fairlead-admission", {"spec": to})
    for kind in WEBHOOKS:
        hooks = certified.get(kind, "fairlead")["webhooks"]
        hooks[0]["clientConfig"]["service"]["port"] = port
        certified.patch(kind, "fairlead", {"webhooks": hooks})


def _serial(port: int) -> int:
    """That of the certificate which is shown there; 0 while nobody listens."""
    try:
        shown = ssl.get_server_certificate(("127.0.0.1", port), timeout=5)
    except OSError:
        return 0
    return x509.load_pem_x509_certificate(shown.encode()).serial_number


def test_cert_manager_makes_the_webhooks_certificate_and_renews_it_while_admission_runs(certified: Certified) -> None:
    until(lambda: "tls.crt" in certified.data())
    first = x509.load_pem_x509_certificate(certified.data()["tls.crt"])
    assert first.issuer.rfc4514_string() == "CN=the company's authority"
    until(certified.trusts)
    (port,) = free_ports(1)
    _led_to(certified, port)
    served = {"certificates": str(certified.mount()), "port": port, "host": "127.0.0.1"}
    with processes(certified.kubeconfig, certified.folder, admission=served) as cluster:
        admission = cluster.start("admission")
        until(lambda: admission.says("/readyz"))
        assert _serial(port) == first.serial_number
        until(lambda: "validate.fairlead.dev" in certified.refusal() and "denied the request" in certified.refusal())
        _renew(certified, admission, port, first.serial_number)


def _renew(certified: Certified, admission: Process, port: int, before: int) -> None:
    """As `cmctl renew` asks for it; every pod that is asked for meanwhile is refused by us, not for want of trust."""
    condition = {"type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "message": "by the test"}
    status = {"conditions": [*certified.get("certificate", SECRET)["status"]["conditions"], condition]}
    old = certified.data()["tls.crt"]
    certified.patch("certificate", SECRET, {"status": status}, "--subresource=status")
    until(lambda: certified.data().get("tls.crt") not in (None, old))
    new = x509.load_pem_x509_certificate(certified.data()["tls.crt"]).serial_number
    assert new != before
    certified.mount()

    def is_shown() -> bool:
        assert "denied the request" in certified.refusal()
        return _serial(port) == new

    until(is_shown)
    assert "denied the request" in certified.refusal()
    assert certified.trusts()
    assert admission.popen.poll() is None
