"""What the documents tell people to type works as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TYPED = (
    "docs/tutorial/ten-minutes.md",
    "docs/howto/scenarios.md",
    "docs/howto/check-a-cluster.md",
    "docs/howto/install-with-one-command.md",
    "docs/howto/after-the-install.md",
    "docs/howto/sign-in-with-your-provider.md",
)


@pytest.mark.parametrize("name", TYPED)
def test_the_commands_of_a_document_work(name: str, tmp_path: Path) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / name).read_text(), re.M | re.S)
    assert blocks
    script = "set -eu\n" + "\n".join(blocks)
    folder = str(Path(sys.executable).parent)
    env = {
        **os.environ,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "FAIRLEAD_DATA": str(tmp_path),
        "TMPDIR": str(tmp_path),
    }
    where = ROOT if "scenarios" in name or "tutorial" in name else tmp_path
    done = subprocess.run(["sh", "-c", script], cwd=where, capture_output=True, text=True, timeout=280, env=env)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    if "tutorial" in name:
        assert "owed" in done.stdout, "describe tells the borrower who took its place"
        assert "What would start it" in done.stdout


@pytest.mark.parametrize(
    "file", sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/**/*.md")), ids=lambda f: str(f.relative_to(ROOT))
)
def test_every_link_inside_the_repository_leads_somewhere(file: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", file.read_text()):
        assert (file.parent / target).exists(), f"{file.name} links to {target}"


def test_the_readme_is_short_and_names_its_two_commands() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 150
    assert "make up" in text
    assert "make test" in text
