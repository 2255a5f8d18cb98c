"""Scenarios from text, for tests."""

from fairlead.simulator.scenario import Scenario, loads

BASE = 'title: x\nnodes: {"n[1-2]": {gpu: 8, gpu_memory: 80Gi}}\nqueues: {ai: 16}\n'


def a_scenario(more: str = "", base: str = BASE) -> Scenario:
    """The base cluster (two nodes of 8 GPUs, one queue) with more lines."""
    return loads(base + more, "test.yaml")
