"""`docs/howto/install-on-a-cluster.md`, followed on a real cluster: what it has people type installs, connects and takes away the product.

The last file of this folder: the product was uninstalled by the one before. In place of a registry the nodes have the image already.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.kubernetes.processes import until
from tests.parts.cluster.images import BUSYBOX
from tests.parts.helm import helm
from tests.realcluster.product import CONNECTED, Installed

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
HOWTO = ROOT / "docs" / "howto" / "install-on-a-cluster.md"


class Reader:
    """Types what the document says, with names of its own for those the document leaves open."""

    def __init__(self, installed: Installed, folder: Path) -> None:
        self.installed = installed
        (folder / "bin").mkdir()
        (folder / "bin" / "helm").symlink_to(helm(3))
        path = f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._env = {**installed.product.environment(), "PATH": path, "KUBECONFIG": str(installed.cluster.kubeconfig)}
        self._env |= {f"HELM_{kind}_HOME": str(folder / kind) for kind in ("CACHE", "CONFIG", "DATA")}

    def types(self, block: str, **names: str) -> str:
        """What was printed."""
        for name, value in names.items():
            block = block.replace(name, value)
        done = subprocess.run(
            ["sh", "-euc", block], cwd=ROOT, env=self._env, capture_output=True, text=True, timeout=400
        )
        assert done.returncode == 0, f"{block}\n{done.stdout[-2000:]}{done.stderr[-2000:]}\n{self.installed.told()}"
        return done.stdout


def test_the_guide_installs_connects_and_takes_away(installed: Installed, tmp_path: Path) -> None:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", HOWTO.read_text(), re.M | re.S)
    install, organise, register, connect, look = [block for language, block in fenced if not language]
    reader = Reader(installed, tmp_path)
    reader.types(install, **{"REGISTRY/fairlead": "localhost/fairlead,image.tag=test,prometheus.enabled=false"})
    reader.types(organise)
    until(lambda: "runai-vision" in installed.kubectl("get", "namespaces", "-o", "name").stdout, 60)
    _runs_a_gpu_pod(installed)
    made: Any = json.loads(reader.types(register.strip() + " -o json"))
    own = {"https://fairlead.example.com": installed.product.url, "=ID": f"={made['uuid']}"}
    reader.types(connect, **own, SECRET=made["client_secret"])
    until(lambda: _state(installed, "berlin") in CONNECTED, 300)
    said = reader.types(look)
    assert "berlin" in said
    assert 'release "fairlead" uninstalled' in said
    assert "vision" in installed.kubectl("get", "projects.fairlead.dev", "-o", "name").stdout


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
