"""What the documents tell people to type works as it stands."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from tests.howto import HOWTOS, ROOT, blocks

from fairlead.cli.main import COMMANDS, cli

DOCUMENTS = sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/**/*.md"))
TYPED = (
    "docs/tutorial/ten-minutes.md",
    "docs/howto/scenarios.md",
    "docs/howto/check-a-cluster.md",
    "docs/howto/install-with-one-command.md",
    "docs/howto/after-the-install.md",
    "docs/howto/sign-in-with-your-provider.md",
    "docs/howto/openshift.md",
    "docs/howto/own-authority.md",
)
"""Documents with blocks in `sh`: they are typed as they stand."""


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


@pytest.mark.parametrize("name", sorted(file.stem for file in HOWTOS.glob("*.md") if blocks(file.stem)))
def test_what_a_guide_has_people_type_on_a_cluster_is_typed_by_a_test_that_knows_every_block(name: str) -> None:
    followers = [file for file in ROOT.glob("tests/*/test_*.py") if f'blocks("{name}")' in file.read_text()]
    assert followers, f"no test takes the commands of {name}.md from there (tests/howto.py)"


def _typed(file: Path) -> Iterator[str]:
    """Lines that begin with `fairlead` in blocks of commands, and in the text; in sources, what they advise."""
    text = file.read_text()
    if file.suffix == ".py":
        advised = re.findall(r"([\"'`])(fairlead [a-z][^\"'`]*)[\"'`]", re.sub(r'"\n *f?"', "", text))
        yield from (line for mark, line in advised if mark == "`" or line.split()[1] in COMMANDS)
        return
    fenced = re.compile(r"^```(?:sh)?\n(.*?)^```$", re.M | re.S)
    for block in fenced.findall(text):
        yield from re.findall(r"^fairlead .*$", block.replace("\\\n", " "), re.M)
    yield from re.findall(r"`(fairlead [^`]+)`", fenced.sub("", text).replace("\n", " "))


SOURCES = [file for file in sorted(ROOT.glob("src/**/*.py")) if "fairlead " in file.read_text()]


@pytest.mark.parametrize("file", DOCUMENTS + SOURCES, ids=lambda f: str(f.relative_to(ROOT)))
def test_every_command_and_option_that_a_document_names_exists(file: Path) -> None:
    for line in _typed(file):
        words = shlex.split(re.sub(r"[|>].*|…|\.\.\.", "", line).replace("[", "").replace("]", ""), comments=True)[1:]
        command: click.Command = cli
        while isinstance(command, click.Group) and words and re.match("[a-z]", words[0]):
            found = command.get_command(click.Context(command), words.pop(0))
            assert found is not None, f"{line!r}: there is no such command"
            command = found
        options = {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | {"--help"}
        given = words[: words.index("--")] if "--" in words else words
        unknown = {word.partition("=")[0] for word in given if word.startswith("-") and word != "-"} - options
        assert not unknown, f"{line!r}: {command.name} has no such option"


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda f: str(f.relative_to(ROOT)))
def test_every_link_inside_the_repository_leads_somewhere(file: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", file.read_text()):
        assert (file.parent / target).exists(), f"{file.name} links to {target}"


def test_the_readme_is_short_and_names_its_two_commands() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 150
    assert "make up" in text
    assert "make test" in text
