"""A machine that is a node: containerd, kubelet and kube-proxy, with GPUs that are simulated."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.parts.cluster.controlplane import LOST_AFTER, ControlPlane
from tests.parts.cluster.images import PAUSE
from tests.parts.cluster.machines import Machine, Service
from tests.parts.cluster.programs import Programs
from tests.parts.cluster.simulated_gpus import SimulatedGpus

GPUS = 8
GPU_LABELS = {
    "nvidia.com/gpu.present": "true",
    "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3",
    "nvidia.com/gpu.count": str(GPUS),
    "nvidia.com/gpu.memory": "81559",
    "nvidia.com/gpu.family": "hopper",
    "fairlead.dev/simulated": "true",
}
"""As GPU feature discovery would set them, and that there are none."""
_NO_NAMES = "options timeout:1 attempts:1\n"
"""Pods find no name server, and soon. An empty file would give them this machine's, which they cannot reach."""
_SOCKET = "/run/containerd/containerd.sock"


@dataclass(frozen=True)
class Node:
    """One node of the cluster."""

    machine: Machine
    address: str
    containerd: Service
    kubelet: Service
    kube_proxy: Service
    gpus: SimulatedGpus

    @property
    def name(self) -> str:
        """What the cluster calls it."""
        return self.machine.name

    @property
    def services(self) -> tuple[Service, ...]:
        """All programs, in the order they start."""
        return self.containerd, self.kubelet, self.kube_proxy

    @property
    def pod_resources_socket(self) -> Path:
        """The kubelet's PodResources API, seen from outside."""
        return self.machine.host_path("/var/lib/kubelet/pod-resources/kubelet.sock")

    def load_image(self, archive: Path) -> None:
        """Make the images of an archive (OCI or docker) known to the node. Raises: RuntimeError."""
        command = ["ctr", f"--address={_SOCKET}", "--namespace=k8s.io", "images", "import", "-"]
        self.machine.run(*command, given=archive.read_bytes())

    def wait_containerd(self) -> None:
        """Return once containerd answers. Raises: RuntimeError."""
        end = time.monotonic() + 30
        while True:
            try:
                self.machine.run("ctr", f"--address={_SOCKET}", "--timeout=2s", "--connect-timeout=2s", "version")
                return
            except RuntimeError:
                if time.monotonic() > end or not self.containerd.is_running:
                    raise
                time.sleep(0.1)


@dataclass(frozen=True)
class Place:
    """Where a node is: its address, the network of its pods, the network of all pods and nodes, its control group."""

    address: str
    pods: str
    all_pods: str
    control_group: str


def node(machine: Machine, place: Place, plane: ControlPlane, programs: Programs) -> Node:
    """Give a node that is not started. `machine.folder` has its certificates."""
    folder = machine.folder
    plane.write_kubeconfig(folder, "kubelet", folder / "kubelet")
    plane.write_kubeconfig(folder, "kube-proxy", plane.machine.folder / "kube-proxy")
    _write_containerd_config(folder, place, programs)
    _write_json(folder / "kubelet.json", _kubelet_config(folder, place, plane))
    _write_json(folder / "kube-proxy.json", _kube_proxy_config(folder, place, machine.name))
    (folder / "resolv.conf").write_text(_NO_NAMES)
    labels = ",".join(f"{key}={value}" for key, value in GPU_LABELS.items())
    kubelet: Sequence[str | Path] = [
        programs.kubelet,
        f"--config={folder / 'kubelet.json'}",
        f"--kubeconfig={folder / 'kubelet.kubeconfig'}",
        f"--hostname-override={machine.name}",
        f"--node-ip={place.address}",
        f"--node-labels={labels}",
    ]
    return Node(
        machine,
        place.address,
        Service(machine, "containerd", [programs.containerd, f"--config={folder / 'containerd.toml'}"]),
        Service(machine, "kubelet", kubelet),
        Service(machine, "kube-proxy", [programs.kube_proxy, f"--config={folder / 'kube-proxy.json'}"]),
        SimulatedGpus(machine.host_path("/var/lib/kubelet/device-plugins"), machine.name, GPUS),
    )


TRUST = "certs.d"
"""Folder of a node's folder in which its runtime looks for how to reach a registry, and whom to trust there."""


def _write_json(file: Path, content: object) -> None:
    file.write_text(json.dumps(content, indent=1))


def _write_containerd_config(folder: Path, place: Place, programs: Programs) -> None:
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": place.pods}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": "/run/cni/addresses",
    }
    plugins = [{"type": "ptp", "mtu": 1500, "ipam": addresses}]
    (folder / "cni").mkdir()
    _write_json(folder / "cni" / "pods.conflist", {"cniVersion": "0.3.1", "name": "pods", "plugins": plugins})
    (folder / "containerd.toml").write_text(
        f"""version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
address = "{_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "{folder / TRUST}"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{programs.network_plugins}"
conf_dir = "{folder / "cni"}"
"""
    )


def _kubelet_config(folder: Path, place: Place, plane: ControlPlane) -> dict[str, object]:
    """Limits of containers and pods hold; the node as a whole may use all of this machine."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{_SOCKET}",
        "address": place.address,
        "tlsCertFile": str(folder / "kubelet.crt"),
        "tlsPrivateKeyFile": str(folder / "kubelet.key"),
        "authentication": {"x509": {"clientCAFile": str(plane.ca_file)}, "anonymous": {"enabled": False}},
        "healthzBindAddress": "127.0.0.1",
        "resolvConf": str(folder / "resolv.conf"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{place.control_group}",
        "cgroupsPerQOS": True,
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "localStorageCapacityIsolation": False,
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "1Mi"},
        "makeIPTablesUtilChains": False,
        "nodeStatusUpdateFrequency": "4s",
        "nodeLeaseDurationSeconds": LOST_AFTER,
        "syncFrequency": "10s",
        "volumeStatsAggPeriod": "0s",
    }


def _kube_proxy_config(folder: Path, place: Place, name: str) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(folder / "kube-proxy.kubeconfig")},
        "hostnameOverride": name,
        "clusterCIDR": place.all_pods,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
