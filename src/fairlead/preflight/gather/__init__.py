"""Facts of a live cluster: the only part of preflight that does I/O.

Everything runs side by side within its own time; what is late, refused or broken is unknown with its reason and holds up nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fairlead.preflight.config import Config
from fairlead.preflight.facts import Facts
from fairlead.preflight.gather.run import Run
from fairlead.preflight.options import Options


def gather(config: Config, options: Options, tell: Callable[[str], None] = lambda _: None) -> Facts:
    """The facts of the cluster that the options name. `tell`: progress, a line at a time.

    On Ctrl-C and SIGTERM, and when the time is up, it ends early: what was made in the cluster is taken away, and what was
    found until then is given.
    """
    return asyncio.run(Run(config, options, tell).facts())
