"""Certificates for a test cluster: an authority, a server certificate, and a key for service accounts."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_PEM = serialization.Encoding.PEM
_PLAIN = serialization.NoEncryption()


@dataclass(frozen=True)
class Leaf:
    """Whose certificate one is, and where its owner is reached beside the loopback address."""

    common_name: str
    organization: str = ""
    addresses: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


LEAVES = {"api": Leaf("kube-apiserver"), "admin": Leaf("test-admin", "system:masters")}


def write(folder: Path, leaves: Mapping[str, Leaf] = LEAVES, authority: Leaf = Leaf("test-ca")) -> None:
    """Write ca.crt and ca.key, sa.key, sa.pub, and NAME.crt and NAME.key of each leaf."""
    signer = ec.generate_private_key(ec.SECP256R1())
    issuer = _certificate(authority, signer, None, signer)
    _pair(folder, "ca", issuer, signer)
    for name, leaf in leaves.items():
        key = ec.generate_private_key(ec.SECP256R1())
        _pair(folder, name, _certificate(leaf, key, issuer, signer), key)
    account = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (folder / "sa.key").write_bytes(account.private_bytes(_PEM, serialization.PrivateFormat.TraditionalOpenSSL, _PLAIN))
    public = account.public_key().public_bytes(_PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / "sa.pub").write_bytes(public)


def _pair(folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    (folder / f"{name}.crt").write_bytes(certificate.public_bytes(_PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(_PEM, serialization.PrivateFormat.TraditionalOpenSSL, _PLAIN)
    )


def _subject(leaf: Leaf) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, leaf.common_name)]
    if leaf.organization:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, leaf.organization))
    return x509.Name(parts)


def _certificate(
    leaf: Leaf,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    signer: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    name = _subject(leaf)
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if issuer:
        addresses = [x509.IPAddress(ipaddress.ip_address(text)) for text in ("127.0.0.1", "10.96.0.1", *leaf.addresses)]
        names = [x509.DNSName(text) for text in ("localhost", "kubernetes.default.svc", *leaf.names)]
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = builder.add_extension(x509.SubjectAlternativeName([*addresses, *names]), critical=False)
        builder = builder.add_extension(usage, critical=False)
    else:
        signs = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = builder.add_extension(signs, critical=True)
    return builder.sign(signer, hashes.SHA256())
