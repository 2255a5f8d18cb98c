"""A bundle: packed from an archive and from a real registry, put into another, damaged, and done again."""

from __future__ import annotations

import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.parts import image
from tests.parts.build import Unavailable
from tests.parts.debian import program
from tests.parts.registry import PASSWORD, USER, Registry, registry

from fairlead.cli.bundle import bundle

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SIGNED_IN = ("--username", USER, "--password-stdin")


def typed(*words: str, secret: str = PASSWORD) -> str:
    """What a command that must succeed printed."""
    done = CliRunner().invoke(bundle, words, input=f"{secret}\n", catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry with the product's image."""
    try:
        with registry(tmp_path_factory.mktemp("one")) as found:
            found.push(image.image(), "team/fairlead:1")
            yield found
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory, one: Registry) -> Path:
    """A bundle with the image of the archive, and with one that was fetched."""
    file = tmp_path_factory.mktemp("bundle") / "fairlead.tar"
    config = file.with_name("fairlead.yaml")
    config.write_text(json.dumps({"registry": {"host": one.address}}))
    told = typed(
        "create", "-f", str(file), "--archive", str(image.image()), "--image", f"{one.address}/team/fairlead:1",
        "--config", str(config), "--without-prometheus", "--ca", str(one.ca), *SIGNED_IN,
    )  # fmt: skip
    assert f"bundle load {file}" in told
    return file


def test_it_holds_images_the_chart_and_the_definitions(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = json.loads(typed("show", str(packed), "-o", "json"))
    assert [each["image"].partition(":")[0] for each in shown["images"]] == ["fairlead", "team/fairlead"]
    assert sorted(shown["files"]) == ["bundle.json", "chart.tgz", "crds.yaml"]
    assert packed.stat().st_size < 1.2 * image.image().stat().st_size, "the same layers are in it once"
    monkeypatch.chdir(tmp_path)
    typed("extract", str(packed), "chart.tgz")
    with tarfile.open(tmp_path / "chart.tgz") as chart:
        assert "fairlead/Chart.yaml" in chart.getnames()


def test_other_tools_read_its_images(packed: Path) -> None:
    told = subprocess.run(
        [program("skopeo", "skopeo"), "inspect", "--raw", f"oci-archive:{packed}:team/fairlead:1"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(told.stdout)["schemaVersion"] == 2


def test_another_registry_gets_all_of_it_and_a_second_time_nothing_is_sent(packed: Path, tmp_path: Path) -> None:
    with registry(tmp_path) as other:
        words = (
            "load",
            str(packed),
            "--registry",
            other.address,
            "--prefix",
            "mirror",
            "--ca",
            str(other.ca),
            *SIGNED_IN,
        )
        told = typed(*words)
        assert f"registry: {{host: {other.address}/mirror}}" in told
        assert " 0 MiB sent" in typed(*words)
        skopeo = [
            program("skopeo", "skopeo"),
            "copy",
            f"--src-cert-dir={other.ca.parent}",
            f"--src-creds={USER}:{PASSWORD}",
        ]
        for name in ("mirror/fairlead:0.1.0", "mirror/team/fairlead:1"):
            subprocess.run([*skopeo, f"docker://{other.address}/{name}", f"dir:{tmp_path / 'copy'}"], check=True)


def test_a_wrong_password_and_an_authority_nobody_knows_are_told(packed: Path, one: Registry) -> None:
    words = ["load", str(packed), "--registry", one.address, *SIGNED_IN]
    done = CliRunner().invoke(bundle, [*words, "--ca", str(one.ca)], input="wrong\n")
    assert "401" in str(done.exception)
    done = CliRunner().invoke(bundle, words, input=f"{PASSWORD}\n")
    assert "certificate" in str(done.exception).lower()


@pytest.mark.parametrize("place", ["blob", "end"])
def test_what_was_damaged_on_the_way_is_not_put_anywhere(
    packed: Path, one: Registry, tmp_path: Path, place: str
) -> None:
    content = bytearray(packed.read_bytes())
    with tarfile.open(packed) as tar:
        small = min((m for m in tar.getmembers() if m.name.startswith("blobs/")), key=lambda m: m.size)
    if place == "blob":
        content[small.offset_data] ^= 1
    broken = tmp_path / "broken.tar"
    broken.write_bytes(content if place == "blob" else content[: len(content) // 2])
    words = ["load", str(broken), "--registry", one.address, "--ca", str(one.ca), *SIGNED_IN]
    done = CliRunner().invoke(bundle, words, input=f"{PASSWORD}\n")
    assert done.exit_code != 0
    assert (
        "damaged" in str(done.exception) or "cannot be read" in str(done.exception) or "has no" in str(done.exception)
    )
