"""Whom TLS trusts."""

from __future__ import annotations

import ssl
from pathlib import Path

_PEM = "-----BEGIN"


def trusting(file: str | None = None, *, text: str = "") -> ssl.SSLContext:
    """Trusts, beside the authorities of the machine, those in the file and in the text (PEM), and certificates that stand there themselves.

    Raises: OSError (ssl.SSLError is one) where they cannot be read as certificates.
    """
    context = ssl.create_default_context()
    if file or text:
        context.load_verify_locations(cafile=file or None, cadata=text or None)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def authorities_in(bundle: str | None) -> str:
    """The certificates (PEM) of a setting that names a file of them, or is them; empty for none.

    Raises: OSError, UnicodeDecodeError where the file cannot be read.
    """
    if not bundle or bundle.lstrip().startswith(_PEM):
        return bundle or ""
    return Path(bundle).read_text(encoding="utf-8")
