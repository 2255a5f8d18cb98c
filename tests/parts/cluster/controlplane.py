"""The machine that has etcd, the API server, the controller manager and the scheduler."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.parts.apiserver import (
    ask,
    audit_flags,
    etcd_command,
    is_ready,
    kube_apiserver_command,
    kube_scheduler_command,
    kubeconfig,
)
from tests.parts.cluster.machines import Machine, Service
from tests.parts.cluster.programs import Programs

PORT = 6443
AUDITED = (
    "system:serviceaccount:fairlead-node:fairlead-node",
    *(f"system:serviceaccount:fairlead:fairlead-{role}" for role in ("scheduler", "controllers", "admission", "agent")),
)
"""Users whose calls are noted: the accounts of the product's chart."""
LOST_AFTER = 20
"""A node that has not been heard of for so long is NotReady. Units: seconds; Kubernetes' own default is 50."""


@dataclass(frozen=True)
class ControlPlane:
    """The four programs, and how an administrator reaches them."""

    machine: Machine
    address: str
    token: str
    etcd: Service
    api_server: Service
    controller_manager: Service
    scheduler: Service

    @property
    def url(self) -> str:
        """Where the API server is, for this machine, nodes and pods alike."""
        return f"https://{self.address}:{PORT}"

    @property
    def ca_file(self) -> Path:
        """The authority of the cluster."""
        return self.machine.folder / "ca.crt"

    @property
    def audit_log(self) -> Path:
        """What the product's accounts asked of the API server, a line a call."""
        return self.machine.folder / "audit.log"

    @property
    def kubeconfig(self) -> Path:
        """Makes its reader an administrator."""
        return self.machine.folder / "admin.kubeconfig"

    @property
    def services(self) -> tuple[Service, ...]:
        """All programs, in the order they start."""
        return self.etcd, self.api_server, self.controller_manager, self.scheduler

    def write_kubeconfig(self, folder: Path, name: str, keys: Path) -> None:
        """Write the kubeconfig of the one whose certificate and key are KEYS.crt and KEYS.key."""
        user = {"client-certificate": f"{keys}.crt", "client-key": f"{keys}.key"}
        (folder / f"{name}.kubeconfig").write_text(kubeconfig(self.url, self.ca_file, user))

    def ask(self, path: str, made: Any = None) -> Any:
        """Give what the API server answers to the administrator, who may make an object. Raises: OSError, also when refused."""
        body = None if made is None else json.dumps(made).encode()
        return json.loads(ask(f"{self.url}{path}", self.token, self.ca_file.read_bytes(), body))

    def wait_ready(self) -> None:
        """Return once the API server answers that it is ready. Raises: RuntimeError after a minute, or when it ended."""
        end = time.monotonic() + 60
        while time.monotonic() < end and self.etcd.is_running and self.api_server.is_running:
            if is_ready(self.url, self.token, self.ca_file.read_bytes()):
                return
            time.sleep(0.05)
        raise RuntimeError("the API server did not become ready")


def control_plane(machine: Machine, address: str, programs: Programs) -> ControlPlane:
    """Give a control plane that is not started. `machine.folder` has its certificates."""
    token = secrets.token_hex(16)
    (machine.folder / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n')
    etcd = Service(machine, "etcd", etcd_command(programs.etcd, machine.folder, 2379, 2380))
    api_server = Service(machine, "kube-apiserver", _api_server(programs, machine.folder, address))
    manager = Service(machine, "kube-controller-manager", _controller_manager(programs, machine.folder))
    launch = kube_scheduler_command(programs.kube_scheduler, machine.folder / "scheduler.kubeconfig", 10259)
    scheduler = Service(machine, "kube-scheduler", launch)
    plane = ControlPlane(machine, address, token, etcd, api_server, manager, scheduler)
    plane.kubeconfig.write_text(kubeconfig(plane.url, plane.ca_file, {"token": token}))
    for name in ("controller-manager", "scheduler"):
        plane.write_kubeconfig(machine.folder, name, machine.folder / name)
    return plane


def _api_server(programs: Programs, folder: Path, address: str) -> list[str]:
    """Beside it runs no kube-proxy: with aggregator routing it finds the pods behind a webhook's Service by itself."""
    return [
        *kube_apiserver_command(programs.kube_apiserver, folder, 2379, address, PORT),
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--enable-aggregator-routing=true",
        f"--kubelet-client-certificate={folder / 'admin.crt'}",
        f"--kubelet-client-key={folder / 'admin.key'}",
        f"--kubelet-certificate-authority={folder / 'ca.crt'}",
        "--kubelet-preferred-address-types=InternalIP",
        *audit_flags(folder, folder / "audit.log", AUDITED),
        "--audit-log-maxbackup=1",
    ]


def _controller_manager(programs: Programs, folder: Path) -> list[str]:
    return [
        str(programs.kube_controller_manager),
        f"--kubeconfig={folder / 'controller-manager.kubeconfig'}",
        f"--service-account-private-key-file={folder / 'sa.key'}",
        f"--root-ca-file={folder / 'ca.crt'}",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--node-monitor-grace-period={LOST_AFTER}s",
        "--node-monitor-period=2s",
        "--kube-api-qps=100",
        "--kube-api-burst=200",
    ]
