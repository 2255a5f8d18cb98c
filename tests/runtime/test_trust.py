"""Whom TLS trusts: what was given, beside what the machine has."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from tests.parts import certificates

from fairlead.runtime.trust import trusting


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Authority and server `localhost` that this machine trusts."""
    (folder := tmp_path / "machines").mkdir()
    certificates.write(folder, authority=certificates.Leaf("machines"))
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.crt"))
    return folder


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """Others, that it does not."""
    (folder := tmp_path / "given").mkdir()
    certificates.write(folder, authority=certificates.Leaf("given"))
    return folder


def is_trusted(client: ssl.SSLContext, folder: Path) -> bool:
    """Whether a handshake with the server of that folder comes to its end."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(folder / "api.crt", folder / "api.key")
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(down, up, server_hostname="localhost"),
        server.wrap_bio(up, down, server_side=True),
    ]
    try:
        while ends:
            for end in tuple(ends):
                try:
                    end.do_handshake()
                    ends.remove(end)
                except ssl.SSLWantReadError:
                    continue
    except ssl.SSLCertVerificationError:
        return False
    return True


def test_what_was_given_is_trusted_beside_what_the_machine_trusts(machines: Path, given: Path) -> None:
    assert (is_trusted(trusting(), machines), is_trusted(trusting(), given)) == (True, False)
    for both in (trusting(str(given / "ca.crt")), trusting(text=(given / "ca.crt").read_text())):
        assert (is_trusted(both, machines), is_trusted(both, given)) == (True, True)


def test_a_certificate_that_was_given_itself_is_trusted(given: Path) -> None:
    assert is_trusted(trusting(str(given / "api.crt")), given)


def test_what_is_no_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no certificate")
    with pytest.raises(OSError, match=r"\S"):
        trusting(str(tmp_path / "notes.txt"))
