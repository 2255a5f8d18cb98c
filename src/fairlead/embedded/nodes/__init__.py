"""Embedded nodes: what a kubelet does on a real cluster, for processes and containers of this machine and for simulated ones."""
