"""Fairlead: GPU sharing for AI teams on Kubernetes. Rooms and who may import whom: ARCHITECTURE.md."""

__version__ = "0.1.0"
