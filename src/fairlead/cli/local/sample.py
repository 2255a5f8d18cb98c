"""The sample workload of `fairlead up --sample`: a project, a process, its log, its end."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

from fairlead.cli import output
from fairlead.cli.researcher.follow import follow
from fairlead.cli.rest import Rest
from fairlead.runtime.errors import Unreachable

PROJECT = "demo"
_SCRIPT = """
import os, time
print("hello from", os.environ["podName"], "with GPU", os.environ.get("CUDA_VISIBLE_DEVICES") or "none", flush=True)
for step in range(1, 4):
    time.sleep(0.3)
    print(f"step {step} of 3", flush=True)
print("done", flush=True)
"""
_QUOTA_GPUS = 2
_CONNECT_SECONDS = 20.0
_PATIENCE_SECONDS = 120.0
"""A sample that has not begun by then finds no free GPU."""


def run_sample(data: Path) -> int:
    """Makes the project where it is missing, submits the sample and follows it; gives back its exit code."""
    import shlex
    import sys

    rest = Rest(data)
    cluster = _connected_cluster(rest)
    projects = rest.get("/api/v1/org-unit/projects")["projects"]
    project = next((p for p in projects if p["name"] == PROJECT), None)
    if project is None:
        body = {"name": PROJECT, "clusterId": cluster, "resources": [{"gpu": {"deserved": _QUOTA_GPUS}}]}
        project = rest.post("/api/v1/org-unit/projects", body)
        output.note(f"Project {PROJECT} made, with {_QUOTA_GPUS} GPUs guaranteed.")
    name = f"hello-{secrets.token_hex(2)}"
    spec = {
        "image": "python:3.12",
        "command": shlex.join([sys.executable, "-c", _SCRIPT]),
        "compute": {"gpuDevicesRequest": 1, "gpuPortionRequest": 0.5, "gpuRequestType": "portion"},
    }
    made = rest.post(
        "/api/v1/workloads/trainings", {"name": name, "projectId": project["id"], "clusterId": cluster, "spec": spec}
    )
    output.note(f"Sample workload {name} submitted: half a GPU, as a process of this machine.")
    return follow(rest, made["workloadId"], name, patience=_PATIENCE_SECONDS)


def _connected_cluster(rest: Rest) -> str:
    deadline = time.monotonic() + _CONNECT_SECONDS
    while time.monotonic() < deadline:
        for cluster in rest.get("/api/v1/clusters"):
            if cluster["status"]["state"] == "Connected":
                return str(cluster["uuid"])
        time.sleep(0.1)
    raise Unreachable(
        "The cluster of this machine did not connect.", hint="Its log is fairlead.log in the data folder."
    )
