"""The authorities and the certificates that the configuration names, as facts (`preflight.keys.services`)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from fairlead.preflight.config import Config
from fairlead.runtime.errors import Invalid
from fairlead.runtime.trust import authorities_in

Facts = dict[str, Any]

_DAY: Final = 86_400.0


def authorities_of(config: Config) -> str:
    """The authorities (PEM) that `ca_bundle` names; empty where it names none. Raises: Invalid where they cannot be read as such."""
    try:
        text = authorities_in(config.ca_bundle)
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"ca_bundle cannot be read: {error}", hint=_HINT) from error
    if text and not _read(text.encode()):
        raise Invalid(f"ca_bundle: there is no certificate in {config.ca_bundle}", hint=_HINT)
    return text


_HINT: Final = "Name a file of certificates in PEM, as -----BEGIN CERTIFICATE----- begins one"


def bundle_facts(text: str | None, now: float) -> Facts:
    """Of `ca_bundle`. `text`: what is in it, None where it could not be read; `now`: seconds since the epoch."""
    read = _read((text or "").encode())
    if not read:
        return {"parses": False}
    authorities = [each for each in read if _is_authority(each)]
    if not authorities:
        return {"parses": True, "has_authority": False}
    left = {each: round((each.not_valid_after_utc.timestamp() - now) / _DAY) for each in authorities}
    good = [days for days in left.values() if days >= 0]
    return {
        "parses": True,
        "has_authority": True,
        "days_left": min(good) if good else max(left.values()),
        "expired": sorted(each.subject.rfc4514_string() for each, days in left.items() if days < 0 and good),
    }


def secret_facts(name: str, certificate: bytes, key: bytes, host: str, roots: Sequence[bytes], now: float) -> Facts:
    """Of a TLS Secret. `host`: whom it is for; `roots`: the authorities that everybody knows, DER."""
    read = _read(certificate)
    if not read:
        return {"name": name, "key_fits": False, "covers_host": False}
    leaf = read[0]
    return {
        "name": name,
        "days_left": round((leaf.not_valid_after_utc.timestamp() - now) / _DAY),
        "chain_complete": _is_complete(read, roots),
        "key_fits": _fits(leaf, key),
        "covers_host": _covers(leaf, host),
    }


def _read(text: bytes) -> list[x509.Certificate]:
    """None of them where it holds something else."""
    try:
        return x509.load_pem_x509_certificates(text)
    except ValueError:
        return []


def _is_authority(certificate: x509.Certificate) -> bool:
    """By its own word; old authorities, which say nothing of it, signed themselves."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return certificate.issuer == certificate.subject


def _is_complete(chain: Sequence[x509.Certificate], roots: Sequence[bytes]) -> bool:
    """Whether each is signed by the next, and one that stands alone by one that everybody knows, or by itself."""
    known = {x509.load_der_x509_certificate(each).subject for each in roots}
    links = [one.issuer == other.subject for one, other in pairwise(chain)]
    last = chain[-1]
    return all(links) and (len(chain) > 1 or last.issuer == last.subject or last.issuer in known)


def _fits(leaf: x509.Certificate, key: bytes) -> bool:
    try:
        private = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError):
        return False
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.public_key().public_bytes(*form) == leaf.public_key().public_bytes(*form)


def _covers(leaf: x509.Certificate, host: str) -> bool:
    """As browsers see it: by the names of the extension, of which a wildcard stands for one label."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    wanted = host.lower()
    given = {each.lower() for each in names.get_values_for_type(x509.DNSName)}
    return wanted in given or f"*.{wanted.partition('.')[2]}" in given
