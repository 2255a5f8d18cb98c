"""What a process loads before it does anything: each of them runs on every node, or in every cluster."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIGHT = ("cluster.agent", "cluster.controllers", "cluster.admission", "cluster.node", "preflight.gather", "cli.probe")


@pytest.mark.parametrize("module", LIGHT)
def test_only_who_decides_loads_the_arrays_of_a_decision(module: str) -> None:
    """NumPy takes a quarter of a second to load and 11 MB to hold."""
    program = f"import sys, pkgutil, fairlead.{module} as m\nimport importlib\n"
    program += "for each in pkgutil.iter_modules(getattr(m, '__path__', [])):\n"
    program += f"    importlib.import_module('fairlead.{module}.' + each.name)\n"
    program += "print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
