"""What can be wrong with a scenario file, and where.

`Wrong` is raised deep inside with a path into the document; `Refused` is what leaves the loader: file, line, text.
"""

import difflib
from collections.abc import Iterable

Path = tuple[str | int, ...]


class Refused(Exception):
    """The file is not a scenario: `file`, `line` (counted from 1) and `expectation` (what is wrong, what was expected)."""

    def __init__(self, file: str, line: int, expectation: str) -> None:
        super().__init__(f"{file}:{line}: {expectation}")
        self.file = file
        self.line = line
        self.expectation = expectation


class Unreadable(Exception):
    """The text is not the YAML a scenario may hold: `line` and `text`."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line
        self.text = text


class Wrong(Exception):
    """A value that does not fit; `path` grows outwards while the exception travels up."""

    def __init__(self, text: str, path: Path = ()) -> None:
        super().__init__(text)
        self.text = text
        self.path = path

    def under(self, key: str | int) -> "Wrong":
        """The same fault seen from one level further out."""
        self.path = (key, *self.path)
        return self

    def told(self) -> str:
        """The fault with its place in front, such as `pending.0.gpu: ...`."""
        place = ".".join(map(str, self.path))
        return f"{place}: {self.text}" if place else self.text


class Unknown(Wrong):
    """A key that the format does not have."""

    def __init__(self, key: str, hint: str) -> None:
        super().__init__(f"unknown key {key}", (key,))
        self.hint = hint

    def told(self) -> str:
        """The key, the map it stands in, and the nearest known key."""
        place = ".".join(map(str, self.path[:-1]))
        return f"{self.text} in {place or 'the file'}{self.hint}"


def near(word: str, known: Iterable[str]) -> str:
    """`; did you mean X?` for the nearest known word, else the known words, else nothing."""
    words = list(known)
    close = difflib.get_close_matches(word, words[:5000], 1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known: {', '.join(words)}" if 0 < len(words) <= 40 else ""
