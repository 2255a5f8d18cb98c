"""The authorities and certificates that a configuration names, read as facts."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from cryptography import x509
from tests.parts import certificates
from tests.parts.certificates import Leaf

from fairlead.preflight.config import Config, config_of
from fairlead.preflight.gather.certificates import authorities_of, bundle_facts, secret_facts
from fairlead.runtime.errors import Invalid

DAY = 86_400


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    certificates.write(folder, {"web": Leaf("web", names=("apps.example", "*.apps.example")), "other": Leaf("other")})
    return folder


def test_a_bundle_tells_how_long_its_authorities_are_good(made: Path) -> None:
    text, now = (made / "ca.crt").read_text(), time.time()
    assert bundle_facts(text, now) == {"parses": True, "has_authority": True, "days_left": 30, "expired": []}
    late = bundle_facts(text, now + 40 * DAY)
    assert late["days_left"] == -10
    assert bundle_facts((made / "web.crt").read_text(), now) == {"parses": True, "has_authority": False}
    assert bundle_facts("no certificate", now) == bundle_facts(None, now) == {"parses": False}


def test_of_several_authorities_those_that_have_ended_are_named_and_do_not_count(made: Path, tmp_path: Path) -> None:
    certificates.write(tmp_path, {}, authority=Leaf("young"))
    old, young = (made / "ca.crt").read_text(), (tmp_path / "ca.crt").read_text()
    found = bundle_facts(old + young, time.time())
    assert (found["days_left"], found["expired"]) == (30, [])
    assert bundle_facts(old + young, time.time() + 60 * DAY)["expired"] == [], "all have ended: that is the finding"


def test_a_secret_tells_of_key_names_and_chain(made: Path, tmp_path: Path) -> None:
    web, key, now = (made / "web.crt").read_bytes(), (made / "web.key").read_bytes(), time.time()
    authority = (made / "ca.crt").read_bytes()
    root = x509.load_pem_x509_certificate(authority).public_bytes(certificates.serialization.Encoding.DER)
    right = {"name": "web", "days_left": 30, "chain_complete": True, "key_fits": True, "covers_host": True}
    assert secret_facts("web", web, key, "apps.example", [root], now) == right
    assert secret_facts("web", web + authority, key, "a.apps.example", [], now) == right
    assert secret_facts("web", web, key, "b.a.apps.example", [], now) == {
        **right,
        "chain_complete": False,
        "covers_host": False,
    }
    assert not secret_facts("web", web, (made / "other.key").read_bytes(), "apps.example", [root], now)["key_fits"]
    assert not secret_facts("web", b"", key, "apps.example", [root], now)["key_fits"]


def test_authorities_are_a_file_or_the_text_itself_and_what_is_neither_is_refused(made: Path, tmp_path: Path) -> None:
    file, text = made / "ca.crt", (made / "ca.crt").read_text()
    assert authorities_of(Config()) == ""
    assert authorities_of(config_of({"ca_bundle": str(file)})) == authorities_of(config_of({"ca_bundle": text})) == text
    with pytest.raises(Invalid, match="nowhere"):
        authorities_of(config_of({"ca_bundle": str(tmp_path / "nowhere.pem")}))
    (tmp_path / "words").write_text("words")
    with pytest.raises(Invalid, match="no certificate"):
        authorities_of(config_of({"ca_bundle": str(tmp_path / "words")}))
