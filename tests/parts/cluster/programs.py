"""The programs a cluster is made of: built from the Go module proxy, or packages of Debian."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from tests.parts.build import Part, Unavailable, binary, shared_caches
from tests.parts.cluster import controlgroups
from tests.parts.debian import install, program

PACKAGES = (
    ("etcd", "etcd-server"),
    ("containerd", "containerd", "runc"),
    ("nft", "nftables"),
    ("busybox", "busybox-static"),
)
BUILT = tuple(
    Part(name) for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
)
_NETWORK_PLUGINS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
_TOOLS = ("ip", "unshare", "nsenter", "setpriv", "mount", "sysctl")


@dataclass(frozen=True)
class Programs:
    """Where each of them is."""

    etcd: Path
    containerd: Path
    network_plugins: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kube_scheduler: Path
    kubelet: Path
    kube_proxy: Path


def programs() -> Programs:
    """Give the programs, getting those that are missing. Raises: Unavailable with the reason."""
    if reason := unfit():
        raise Unavailable(f"no real cluster can run here: {reason}")
    for name in _TOOLS:
        program(name, "util-linux", "iproute2", "mount", "procps")
    etcd, containerd, _, _ = (program(name, *packages) for name, *packages in PACKAGES)
    with shared_caches() as caches:
        built = tuple(binary(part, Path(caches)) for part in BUILT)
    return Programs(etcd, containerd, network_plugins(), *built)


def network_plugins() -> Path:
    """Give the folder of the network plugins. Raises: Unavailable."""
    for folder in _NETWORK_PLUGINS:
        if (folder / "ptp").exists():
            return folder
    install("the network of pods", "containernetworking-plugins")
    if (_NETWORK_PLUGINS[0] / "ptp").exists():
        return _NETWORK_PLUGINS[0]
    raise Unavailable("the network plugins are not installed (Debian: containernetworking-plugins)")


def unfit() -> str:
    """Give why no cluster can run on this machine, nothing where one can."""
    if platform.system() != "Linux":
        return f"nodes need Linux, this is {platform.system()}"
    if os.geteuid() != 0:
        return "nodes need root"
    if not controlgroups.exist():
        return f"nodes need control groups, and none are mounted at {controlgroups.FOLDER}"
    return ""
