"""Versions as numbers: `v1.20.0-eks-d88609` is 1.20.0, whatever the vendor wrote behind it."""

from __future__ import annotations

import re
from typing import Final

_FORM: Final = re.compile(r"^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?")

Version = tuple[int, int, int]


def version_of(text: str) -> Version | None:
    """The three numbers at the beginning; what follows is the vendor's build, not a pre-release. None where there is no number."""
    found = _FORM.match(text.strip())
    return (int(found[1]), int(found[2] or 0), int(found[3] or 0)) if found else None


def shown(version: Version) -> str:
    """For people."""
    return ".".join(map(str, version))
