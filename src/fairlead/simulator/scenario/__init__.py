"""Scenario files: one YAML file = one cluster at one moment, one policy and what must come out.

`load(path)` reads a file into a frozen `Scenario`; a file that is not one raises `Refused` with its line.
`yaml12` text to plain values > `shape` and `keys` the format > `names` ranges and references > `read` to typed values.
"""

from fairlead.simulator.scenario.faults import Refused
from fairlead.simulator.scenario.read import load, loads
from fairlead.simulator.scenario.spec import Scenario

__all__ = ["Refused", "Scenario", "load", "loads"]
