"""Values of a configuration that cannot be meant, each with its key and what is expected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fairlead.cli.main import run
from fairlead.preflight.config import Config, config_of
from fairlead.preflight.explain import example
from fairlead.preflight.values import wrong_values


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"oidc": {"issuer": "not a url"}}, "oidc.issuer: 'not a url' is no address"),
        ({"remote_write": {"url": "ftp//x"}}, "remote_write.url: 'ftp//x' is no address"),
        ({"registry": {"host": "https://reg/x"}}, "registry.host: 'https://reg/x' is no registry"),
        ({"registry": {"mirrors": ["ok:5000", "a b"]}}, "registry.mirrors: 'a b' is no registry"),
        ({"ingress": {"host": "https://x.example"}}, "ingress.host: 'https://x.example' is no host"),
        ({"storage": {"nfs": "foo"}}, "storage.nfs: 'foo' is no NFS export; write SERVER:/PATH"),
        ({"system_nodes": {"cpu": -1}}, "system_nodes.cpu: -1.0 is no amount"),
        ({"images": {"digest": "abc"}}, "images.digest: 'abc' is no digest"),
        ({"prometheus": {"mode": "existing"}}, "prometheus.url does not say where it is"),
        ({"control_plane": {"cluster": "c", "url": ""}}, "control_plane.url does not say where"),
        ({"accept": {"dns": " "}}, "accept.dns: there is no reason"),
    ],
)
def test_what_cannot_be_meant_is_said_with_its_key(document: dict[str, Any], said: str) -> None:
    (found,) = wrong_values(config_of(document))
    assert said in found


@pytest.mark.parametrize(
    "document",
    [
        {"registry": {"host": "gcr.io/run-ai-prod", "mirrors": ["[fd00::1]:5000", "mirror.corp.example:5000/a/b"]}},
        {"proxy": {"https": "http://proxy.corp.example:3128"}, "oidc": {"issuer": "https://id.example/realms/x/"}},
        {"storage": {"nfs": "10.0.0.1:/srv/data"}, "ingress": {"host": "gpu.corp.example."}},
        {"images": {"digest": "sha256:" + "0f" * 32}, "accept": {"dns": "no names here"}},
    ],
)
def test_what_may_be_meant_is_right(document: dict[str, Any]) -> None:
    assert wrong_values(config_of(document)) == wrong_values(Config()) == []


def test_the_command_says_all_of_it_and_the_example_is_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "fairlead.yaml"
    file.write_text("production: true\nstorage: {nfs: foo}\nsystem_nodes: {cpu: 0}\n")
    assert run(["config", "check", str(file)]) == 2
    said = capsys.readouterr().err
    assert "storage.nfs" in said
    assert "system_nodes.cpu" in said
    file.write_text("production: yes\n")
    assert run(["config", "check", str(file)]) == 2
    assert "Write true or false" in capsys.readouterr().err
    file.write_text(example())
    assert run(["config", "check", str(file)]) == 0
