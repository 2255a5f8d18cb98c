"""How a process lives: settings, logging, clock, retry, reconcile loop, lease, supervision."""
