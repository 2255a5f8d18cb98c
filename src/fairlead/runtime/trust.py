"""Whom TLS trusts."""

from __future__ import annotations

import ssl


def trusting(file: str | None = None, *, text: str = "") -> ssl.SSLContext:
    """Trusts, beside the authorities of the machine, those in the file and in the text (PEM), and certificates that stand there themselves.

    Raises: OSError (ssl.SSLError is one) where they cannot be read as certificates.
    """
    context = ssl.create_default_context()
    if file or text:
        context.load_verify_locations(cafile=file or None, cadata=text or None)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
