"""The certificate of the embedded API: kubectl sends a token over nothing but TLS, on the loopback address too."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

from fairlead.runtime import certificates

_DAYS: Final = 825
_RENEW_LEFT: Final = 30 / _DAYS
"""Made anew a month before it ends."""


def server_context(folder: Path, now: float) -> tuple[ssl.SSLContext, bytes]:
    """Give the TLS settings of a loopback server, and the certificate clients must trust (PEM).

    Kept in `folder` and made again a month before it ends. `now`: seconds since the epoch.
    """
    certificate, key = folder / "api.crt", folder / "api.key"
    if not (certificate.exists() and key.exists() and certificates.left(certificate.read_bytes(), now) > _RENEW_LEFT):
        folder.mkdir(parents=True, exist_ok=True)
        made = certificates.server("fairlead embedded API", ("127.0.0.1", "localhost"), now, _DAYS)
        key.touch(mode=0o600)
        key.chmod(0o600)
        key.write_bytes(made.key)
        certificate.write_bytes(made.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate.read_bytes()
