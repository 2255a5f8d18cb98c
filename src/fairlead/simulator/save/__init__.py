"""Snapshots as scenario files: what a scheduler read at one moment, to be looked at, played and changed anywhere.

`written(snapshot, now, title)` gives the file's content, which `scenario` reads again.
`asks` pods' requests > `cluster` nodes and queues > `document` the whole.
"""

from fairlead.simulator.save.document import Written, written

__all__ = ["Written", "written"]
