"""`docs/howto/install-on-a-cluster.md`, followed on a real cluster: what it has people type installs, connects and takes away the product.

The last file of this folder: the product was uninstalled by the one before. In place of a registry the nodes have the image already.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.howto import Reader, blocks
from tests.kubernetes.processes import until
from tests.parts.cluster.images import BUSYBOX
from tests.realcluster.product import CONNECTED, Installed

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(900)]


def test_the_guide_installs_connects_and_takes_away(installed: Installed, tmp_path: Path) -> None:
    install, organise, register, connect, look = blocks("install-on-a-cluster")
    reader = Reader(tmp_path, installed.cluster.kubeconfig, installed.product.environment())
    done = reader.tries(install, {"REGISTRY/fairlead": "localhost/fairlead,image.tag=test,prometheus.enabled=false"})
    assert done.returncode == 0, f"{done.stderr}\n{installed.told()}"
    reader.types(organise)
    until(lambda: "runai-vision" in installed.kubectl("get", "namespaces", "-o", "name").stdout, 60)
    _runs_a_gpu_pod(installed)
    made: Any = json.loads(reader.types(register.strip() + " -o json"))
    own = {"https://fairlead.example.com": installed.product.url, "=ID": f"={made['uuid']}"}
    reader.types(connect, {**own, "SECRET": made["client_secret"]})
    until(lambda: _state(installed, "berlin") in CONNECTED, 300)
    said = reader.types(look)
    assert "berlin" in said
    assert 'release "fairlead" uninstalled' in said
    assert "vision" in installed.kubectl("get", "projects.fairlead.dev", "-o", "name").stdout
    installed.kubectl("delete", "namespace", "fairlead")  # whoever installs next on this cluster makes its own


def _runs_a_gpu_pod(installed: Installed) -> None:
    container = {"name": "c", "image": BUSYBOX, "imagePullPolicy": "Never", "command": ["sleep", "600"]}
    container |= {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
    spec = {"schedulerName": "fairlead", "terminationGracePeriodSeconds": 1, "containers": [container]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "first", "namespace": "runai-vision"}, "spec": spec}
    done = installed.kubectl("create", "-f", "-", given=json.dumps(pod))
    assert done.returncode == 0, done.stderr
    until(lambda: installed.objects("pods", "runai-vision")[0]["status"].get("phase") == "Running", 90)
    installed.kubectl("-n", "runai-vision", "delete", "pod", "first")


def _state(installed: Installed, name: str) -> str:
    clusters = {c["name"]: c["status"]["state"] for c in installed.product.json("cluster", "list")}
    return str(clusters.get(name, ""))
