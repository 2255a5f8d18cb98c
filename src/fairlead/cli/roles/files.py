"""Files with secrets that settings name."""

from __future__ import annotations

from pathlib import Path

from fairlead.runtime.errors import Invalid


def secret_in(file: str, setting: str) -> str:
    """What a file holds. Raises: Invalid where it cannot be read or holds nothing."""
    try:
        found = Path(file).read_text().strip()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise Invalid(f"{file} cannot be read: {why}.", hint=f"{setting} names a file that holds it.") from error
    if not found:
        raise Invalid(f"{file} is empty.", hint=f"{setting} names a file that holds it.")
    return found


def credentials_in(file: str, setting: str) -> str:
    """USER:PASSWORD for a proxy; empty where there is no such file: the proxy wants none."""
    try:
        found = Path(file).read_text().strip() if file else ""
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise Invalid(
            f"The proxy's credentials cannot be read from {file}: {error.strerror or error}.",
            hint=f"{setting} names a file that holds USER:PASSWORD.",
        ) from error
    if file and ":" not in found:
        raise Invalid(f"{file} holds no credentials of a proxy.", hint="Expected: USER:PASSWORD.")
    return found
