"""Facts of a live cluster: the only part of preflight that does I/O.

Everything runs side by side within its own time; what is late, refused or broken is unknown with its reason and holds up nothing else.
`run.gather` is the whole of it; pods on nodes load `look` alone.
"""
