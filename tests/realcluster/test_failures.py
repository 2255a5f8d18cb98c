"""Every program of the test cluster can be killed and comes back; a killed run leaves nothing behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest
from tests.parts.cluster import controlgroups
from tests.parts.cluster.cluster import Cluster
from tests.parts.cluster.machines import network
from tests.parts.cluster.slots import slot
from tests.realcluster.pods import a_spec, in_phase, output, run_on, until

from fairlead.kube.client import Client
from fairlead.objects.builtin import Job, JobSpec
from fairlead.objects.kinds import JOB, POD
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.pod import PodTemplate

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
HOLDS = "tests.realcluster.holds_a_pod"


async def test_pods_go_on_when_containerd_is_killed_and_started_again(
    real_cluster: Cluster, client: Client, namespace: str
) -> None:
    node = real_cluster.nodes["node-1"]
    await run_on(client, node.name, (namespace, "stays"), a_spec())
    before = await in_phase(client, namespace, "stays", "Running")
    node.containerd.restart()
    node.wait_containerd()
    await run_on(client, node.name, (namespace, "later"), a_spec("echo done"))
    await in_phase(client, namespace, "later", "Succeeded")
    after = await client.get(POD, "stays", namespace)
    assert after.status.container_statuses == before.status.container_statuses
    assert await output(client, namespace, "later") == "done\n"


async def test_controllers_go_on_after_they_and_the_api_server_were_killed(
    real_cluster: Cluster, client: Client, namespace: str
) -> None:
    plane = real_cluster.control_plane
    plane.controller_manager.kill()
    plane.api_server.restart()
    plane.wait_ready()
    await client.list(JOB, namespace)  # finds the old connection broken, which only a read may do without saying so
    job = Job(metadata=ObjectMeta(name="later"), spec=JobSpec(template=PodTemplate(spec=a_spec("true"))))
    await client.create(JOB, job, namespace)
    assert not (await client.list(POD, namespace)).items, "nobody is there to make them"
    plane.controller_manager.start()
    await until(partial(client.list, POD, namespace), lambda found: len(found.items) == 1)


def test_a_killed_run_leaves_nothing_behind() -> None:
    with subprocess.Popen([sys.executable, "-m", HOLDS], cwd=ROOT, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        folder, interface, first = run.stdout.readline().split()
        started = psutil.Process(run.pid).children(recursive=True)
        assert int(first) in {process.pid for process in started}
        assert interface in network(None, "link")
        assert groups(folder)
        run.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(started, timeout=30)
    assert not alive
    end = time.monotonic() + 60
    while interface in network(None, "link"):
        assert time.monotonic() < end, "its interface is still there"
        time.sleep(0.2)
    assert folder not in Path("/proc/mounts").read_text()
    with slot():  # the next cluster takes away what is no longer in use
        assert not Path(folder).exists()
        assert not groups(folder)


def groups(folder: str) -> list[Path]:
    """Give the control groups of the cluster whose folder that is."""
    return list(controlgroups.FOLDER.glob(f"*/{Path(folder).name}/*"))
