"""Facts of a live cluster: the only part of preflight that does I/O."""
