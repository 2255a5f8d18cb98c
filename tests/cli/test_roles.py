"""`fairlead run ROLE` that cannot be: each a sentence with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Cli


@pytest.mark.parametrize(
    ("role", "settings", "told"),
    [
        ("scheduler", "kub: {}", "unknown field `kub`"),
        ("scheduler", "kube: {inFlight: many}", "$.kube.in_flight"),
        ("scheduler", "kube: {kubeconfig: /none/such}", "kubeconfig /none/such"),
        ("agent", "{}", "agent.url and agent.cluster"),
        ("agent", "agent: {url: 'https://x', cluster: c, secretFile: /none/such}", "/none/such"),
        ("agent", "agent: {url: 'https://x', cluster: c, secretFile: FILE, proxy: 'socks5://p'}", "is no HTTP proxy"),
        ("agent", "agent: {url: 'https://x', cluster: c, secretFile: FILE, proxyCredentialsFile: /}", "cannot be read"),
        ("server", "{}", "not told its database"),
        ("server", "server: {databaseUrl: 'sqlite+aiosqlite://', signingKeyFile: /none/such}", "/none/such"),
        ("server", "server: {databaseUrl: 'sqlite+aiosqlite://', signingKeyFile: FILE}", "holds no signing key"),
    ],
)
def test_a_role_that_is_told_nonsense_says_so_and_ends(fresh: Cli, role: str, settings: str, told: str) -> None:
    file = fresh.data / "settings.yaml"
    file.write_text(settings.replace("FILE", str(file)))
    done = fresh.run("run", role, "--settings", str(file))
    assert (done.returncode, told in done.stderr) == (2, True), done.stderr


def test_an_unknown_role_is_told_those_there_are(fresh: Cli) -> None:
    done = fresh.run("run", "schedulr")
    assert (done.returncode, "'scheduler'" in done.stderr) == (2, True), done.stderr


def test_a_missing_settings_file_is_named(fresh: Cli, tmp_path: Path) -> None:
    done = fresh.run("run", "scheduler", "--settings", str(tmp_path / "none.yaml"))
    assert (done.returncode, "none.yaml" in done.stderr) == (2, True), done.stderr
