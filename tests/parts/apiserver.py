"""A real kube-apiserver with etcd, on free ports of the loopback address.

Without a controller manager nothing is garbage-collected, and namespaces that are deleted stay in Terminating.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.parts import certificates
from tests.parts.build import NEWEST, Part, binary
from tests.parts.debian import program

TOKEN = "test-admin-token"
USER_TOKEN = "test-user-token"
SERVICE_RANGE = "10.96.0.0/16"
_ALONE = ("--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount", "--endpoint-reconciler-type=none")
"""Nobody makes service accounts, and no pod dials the server."""


@dataclass(frozen=True)
class ApiServer:
    """A running API server. `token` may do everything, `user_token` nothing; `audit_log` is None unless asked for."""

    url: str
    token: str
    user_token: str
    ca: bytes
    folder: Path
    audit_log: Path | None

    def write_kubeconfig(self, path: Path) -> Path:
        """Write a kubeconfig of the administrator."""
        path.write_text(kubeconfig(self.url, self.folder / "ca.crt", {"token": self.token}))
        return path


def kubeconfig(url: str, ca: Path, user: Mapping[str, str]) -> str:
    """Give the text of a kubeconfig."""
    cluster = {"server": url, "certificate-authority": str(ca)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": dict(user)}],
    }
    return json.dumps(config, indent=1)


@contextlib.contextmanager
def api_server(
    *, version: str = NEWEST, audit: bool = False, extra: tuple[str, ...] = (), controllers: str = ""
) -> Iterator[ApiServer]:
    """Give a running API server, stopped and removed afterwards. `controllers`: of a controller manager beside it, such as
    `namespace,serviceaccount`; none runs where it is empty. Raises: Unavailable, RuntimeError.
    """
    etcd, server = program("etcd", "etcd-server"), binary(Part("kube-apiserver", version))
    folder = Path(tempfile.mkdtemp(prefix="fairlead-api-"))
    processes: list[subprocess.Popen[bytes]] = []
    try:
        certificates.write(folder)
        (folder / "tokens.csv").write_text(f'{TOKEN},admin,admin,"system:masters"\n{USER_TOKEN},user,user\n')
        etcd_port, peer_port, port = free_ports(3)
        audit_log = folder / "audit.log" if audit else None
        launch = kube_apiserver_command(server, folder, etcd_port, "127.0.0.1", port)
        commands = {
            "etcd": etcd_command(etcd, folder, etcd_port, peer_port),
            "api": [*launch, *_ALONE, *(audit_flags(folder, audit_log) if audit_log else ()), *extra],
        }
        for name, command in commands.items():
            with (folder / f"{name}.log").open("wb") as log:
                processes.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder))
        running = ApiServer(
            url=f"https://127.0.0.1:{port}",
            token=TOKEN,
            user_token=USER_TOKEN,
            ca=(folder / "ca.crt").read_bytes(),
            folder=folder,
            audit_log=audit_log,
        )
        _wait_ready(running, processes)
        if controllers:
            command = _controller_manager_command(running.write_kubeconfig(folder / "admin.kubeconfig"), controllers)
            with (folder / "controllers.log").open("wb") as log:
                processes.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder))
        yield running
    finally:
        stop(processes)
        shutil.rmtree(folder, ignore_errors=True)


def free_ports(count: int) -> list[int]:
    """Give ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """End processes: the last started first, by force after a second."""
    for process in reversed(processes):
        process.terminate()
    for process in reversed(processes):
        try:
            process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def etcd_command(etcd: Path, folder: Path, port: int, peer: int) -> list[str]:
    """Give the command of an etcd on the loopback address."""
    client, peers = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer}"
    return [
        str(etcd),
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
        "--log-level=warn",
        "--unsafe-no-fsync",  # it ends with the test: nothing of it has to outlive the machine
    ]


def kube_apiserver_command(server: Path, folder: Path, etcd_port: int, address: str, port: int) -> list[str]:
    """Give the command of an API server; who may do what, and admission, are the caller's to add."""
    return [
        str(server),
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        f"--bind-address={address}",
        f"--advertise-address={address}",
        f"--secure-port={port}",
        f"--tls-cert-file={folder / 'api.crt'}",
        f"--tls-private-key-file={folder / 'api.key'}",
        f"--client-ca-file={folder / 'ca.crt'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder / 'sa.pub'}",
        f"--service-account-signing-key-file={folder / 'sa.key'}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--allow-privileged=true",
        "--max-requests-inflight=4000",
        "--max-mutating-requests-inflight=2000",
    ]


def _controller_manager_command(kubeconfig: Path, controllers: str) -> list[str]:
    (port,) = free_ports(1)
    return [
        str(binary(Part("kube-controller-manager"))),
        f"--kubeconfig={kubeconfig}",
        f"--controllers={controllers}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        "--leader-elect=false",
    ]


def audit_flags(folder: Path, log: Path, users: Sequence[str] = ()) -> list[str]:
    """Give the flags by which an API server notes every call of these users, or of everybody, in that log."""
    policy = folder / "audit.json"
    rules: list[dict[str, object]] = [{"level": "Metadata", **({"users": list(users)} if users else {})}]
    written = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": rules}
    policy.write_text(json.dumps(written))
    return [f"--audit-policy-file={policy}", f"--audit-log-path={log}", "--audit-log-mode=blocking"]


def kube_scheduler_command(scheduler: Path, kubeconfig: Path, port: int, calls: int = 100) -> list[str]:
    """Give the command of Kubernetes' own scheduler, alone of its kind. `calls`: as many a second are allowed it."""
    return [
        str(scheduler),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        "--leader-elect=false",
        f"--kube-api-qps={calls}",
        f"--kube-api-burst={calls}",
    ]


def _wait_ready(server: ApiServer, processes: list[subprocess.Popen[bytes]]) -> None:
    end = time.monotonic() + 90
    while time.monotonic() < end:
        if any(process.poll() is not None for process in processes):
            break
        if is_ready(server.url, server.token, server.ca):
            return
        time.sleep(0.05)
    logs = "\n".join(path.read_text(errors="replace")[-1500:] for path in sorted(server.folder.glob("*.log")))
    raise RuntimeError(f"the API server did not become ready:\n{logs}")


def is_ready(url: str, token: str, ca: bytes) -> bool:
    """Ask an API server whether it is ready."""
    try:
        return ask(f"{url}/readyz", token, ca) == b"ok"
    except OSError:
        return False


def ask(url: str, token: str, ca: bytes, body: bytes | None = None) -> bytes:
    """Give what an API server answers to a GET, or to a POST of a JSON body. Raises: OSError, also for a refusal."""
    context = ssl.create_default_context(cadata=ca.decode())
    request = urllib.request.Request(
        url, body, {"authorization": f"Bearer {token}", "content-type": "application/json"}
    )
    direct = urllib.request.ProxyHandler({})
    with urllib.request.build_opener(direct, urllib.request.HTTPSHandler(context=context)).open(
        request, timeout=5
    ) as it:
        return bytes(it.read())
