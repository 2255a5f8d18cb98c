"""Settings come from defaults, a file and the environment, and are refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.runtime.errors import Invalid
from fairlead.runtime.settings import Settings, load


def test_later_sources_win(tmp_path: Path) -> None:
    file = tmp_path / "fairlead.yaml"
    file.write_text("kube:\n  timeoutSeconds: 5\n  page_size: 9\nrole: {namespace: here}\n")
    settings = load(Settings, file=file, env={"FAIRLEAD_KUBE_PAGE_SIZE": "7", "OTHER": "x"})
    assert (settings.kube.timeout_seconds, settings.kube.page_size, settings.role.namespace) == (5.0, 7, "here")
    assert settings.lease == Settings().lease


@pytest.mark.parametrize(
    ("text", "named"),
    [("kube: {timeoutSecond: 5}", "timeoutSecond"), ("log: {level: loud}", "level"), ("- a", "mapping"), ("{", "file")],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "fairlead.yaml"
    file.write_text(text)
    with pytest.raises(Invalid, match=named):
        load(Settings, file=file, env={})


def test_a_wrong_variable_is_named() -> None:
    with pytest.raises(Invalid, match="page_size"):
        load(Settings, env={"FAIRLEAD_KUBE_PAGE_SIZE": "many"})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"none\.yaml"):
        load(Settings, file=tmp_path / "none.yaml", env={})
