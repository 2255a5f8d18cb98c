"""Certificates of our own: an authority, and servers it vouches for. PEM throughout; times in seconds since the epoch.

ECDSA on P-256; names are DNS names or IP addresses.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

_PEM: Final = serialization.Encoding.PEM
_SKEW: Final = timedelta(hours=1)
"""Valid from this long ago: clocks differ."""


class KeyPair(Struct, frozen=True, kw_only=True):
    """A certificate and its key. Not for logs."""

    certificate: bytes
    key: bytes


def authority(name: str, now: float, days: float) -> KeyPair:
    """A new authority that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, name, key, now, days).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    return _pair(builder.sign(key, hashes.SHA256()), key)


def server(name: str, names: Sequence[str], now: float, days: float, by: KeyPair | None = None) -> KeyPair:
    """A new certificate for a server with those names, vouched for by that authority, or by itself and then an authority too."""
    key = ec.generate_private_key(ec.SECP256R1())
    signer = key if by is None else serialization.load_pem_private_key(by.key, None)
    issuer = name if by is None else _common_name(by.certificate)
    builder = (
        _builder(name, issuer, key, now, days)
        .add_extension(x509.SubjectAlternativeName([_general(n) for n in names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=0 if by is None else None), critical=True)
    )
    return _pair(builder.sign(signer, hashes.SHA256()), key)  # type: ignore[arg-type]  # ours are ECDSA keys


def left(certificate: bytes, now: float) -> float:
    """The part of its life that a certificate has before it, 0 to 1; 0 for one that cannot be read. Of several the first counts."""
    try:
        read = x509.load_pem_x509_certificate(certificate)
    except ValueError:
        return 0.0
    begin, end = read.not_valid_before_utc.timestamp(), read.not_valid_after_utc.timestamp()
    return min(max((end - now) / (end - begin), 0.0), 1.0)


def end(certificate: bytes) -> float:
    """When a certificate ends; of several the first counts. Raises: ValueError for one that cannot be read."""
    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc.timestamp()


def vouches(by: bytes, certificate: bytes, names: Sequence[str]) -> bool:
    """Whether the (first) authority signed the certificate, and that is for exactly those names."""
    try:
        read = x509.load_pem_x509_certificate(certificate)
        read.verify_directly_issued_by(x509.load_pem_x509_certificate(by))
        held = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except Exception:  # noqa: BLE001  # whatever is wrong with it, it is not good
        return False
    return set(held) == {_general(name) for name in names}


def living(bundle: bytes, now: float) -> bytes:
    """Those certificates of a bundle that have not ended."""
    try:
        read = x509.load_pem_x509_certificates(bundle)
    except ValueError:
        return b""
    return b"".join(c.public_bytes(_PEM) for c in read if c.not_valid_after_utc.timestamp() > now)


def _builder(
    name: str, issuer: str, key: ec.EllipticCurvePrivateKey, now: float, days: float
) -> x509.CertificateBuilder:
    moment = datetime.fromtimestamp(now, UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - _SKEW)
        .not_valid_after(moment + timedelta(days=days))
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    written = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return KeyPair(certificate=certificate.public_bytes(_PEM), key=written)


def _common_name(certificate: bytes) -> str:
    found = x509.load_pem_x509_certificate(certificate).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
