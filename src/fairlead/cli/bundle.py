"""`fairlead bundle`: all of an installation in one file, for networks that reach nothing."""

from __future__ import annotations

import asyncio
import io
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fairlead.cli.output import OUTPUT, as_yaml, print_table, show
from fairlead.cli.preflight import config_in

if TYPE_CHECKING:
    from fairlead.install.bundle import Bundle
    from fairlead.install.registry import Login
    from fairlead.preflight.config import Config

F = TypeVar("F", bound=Callable[..., Any])

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True, readable=True)
_MIB = 1 << 20
"""Where its makers have it; the chart is told `prometheus` of your registry."""
_NOBODY: dict[str, Any] = {"username": "", "password": "", "ca": "", "plain_http": False}


def _registry(command: F) -> F:
    """Options that say as whom a registry is asked."""
    options = (
        click.option("--username", default="", help="Who signs in to the registry."),
        click.option(
            "--password-stdin",
            "password",
            is_flag=True,
            callback=lambda _ctx, _param, said: sys.stdin.readline().rstrip("\n") if said else "",
            help="Read the password from standard input.",
        ),
        click.option("--ca", default="", type=click.Path(dir_okay=False), help="Authorities (PEM) it is trusted by."),
        click.option("--plain-http", is_flag=True, help="It speaks http."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group()
def bundle() -> None:
    """All of an installation in one file: images, the chart, the definitions. For networks that reach nothing."""


@bundle.command()
@click.option(
    "-f", "--file", type=click.Path(path_type=Path, dir_okay=False), help="Where to; fairlead-VERSION.tar if left out."
)
@click.option(
    "--archive", type=_FILE, help="The product's image as `make image` writes it, instead of from the registry."
)
@click.option("--config", "config_file", type=_FILE, help="fairlead.yaml: which registry and which tag.")
@click.option(
    "--image", "more", multiple=True, metavar="HOST/REPOSITORY:TAG", help="A further image of yours. Repeatable."
)
@click.option(
    "--prometheus-image",
    default="",
    metavar="HOST/REPOSITORY:TAG",
    help="A copy of the bundled Prometheus' image; its makers' if left out.",
)
@click.option("--without-prometheus", is_flag=True, help="Leave out the image of the bundled Prometheus.")
@_registry
def create(
    file: Path | None,
    archive: Path | None,
    config_file: Path | None,
    more: tuple[str, ...],
    prometheus_image: str,
    *,
    without_prometheus: bool,
    **given: Any,
) -> None:
    """Pack a bundle where images can be fetched. Who signs in does so to `registry.host` alone.

    \b
    Example:
      fairlead bundle create --config fairlead.yaml
      fairlead bundle create --archive dist/fairlead-image.tar --image docker.io/library/busybox:1.36
    """
    import fairlead

    config = _of_the_makers(config_in(config_file, ""))
    prometheus = "" if config.prometheus.mode != "bundled" or without_prometheus else prometheus_image or _prometheus()
    target = file or Path(f"fairlead-{fairlead.__version__}.tar")
    part = target.with_name(f"{target.name}.part")
    try:
        asyncio.run(_packed(part, archive, config, more, prometheus, given))
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    click.echo(
        f"{target}: {target.stat().st_size // _MIB} MiB. Take it there and type: fairlead bundle load {target} --registry HOST"
    )


def _of_the_makers(config: Config) -> Config:
    """The configuration with images where they are made: a bundle fills mirrors, it does not come from them."""
    import msgspec

    return msgspec.structs.replace(config, registry=msgspec.structs.replace(config.registry, mirrors=()))


async def _packed(
    part: Path, archive: Path | None, config: Config, more: tuple[str, ...], prometheus: str, given: dict[str, Any]
) -> None:
    """`prometheus`: where the image of the bundled one is fetched; empty: it is left out."""
    import fairlead
    from fairlead.install.bundle import Packer
    from fairlead.install.helm import found_chart
    from fairlead.install.registry import registry
    from fairlead.objects.crds import definitions
    from fairlead.preflight.config import image_repository

    reference = config.images.digest or config.images.tag or fairlead.__version__
    home = image_repository(config).partition("/")[0]
    images = [(each, _parts(each)[1]) for each in more]
    _tell("Packing images:")
    if archive is None:
        images.insert(0, (f"{image_repository(config)}{'@' if config.images.digest else ':'}{reference}", "fairlead"))
    if prometheus:
        images.append((prometheus, f"prometheus:{_prometheus().rpartition(':')[2]}"))
    with Packer(part, _tell) as packer:
        if archive is not None:
            packer.add_archive(archive, f"fairlead:{config.images.tag or fairlead.__version__}")
        for image, name in images:
            host, repository, wanted = _parts(image)
            tagged = name if ":" in name else f"{name}:{wanted.rpartition(':')[2]}"
            async with registry(_login(host, given if host == home else _NOBODY)) as source:
                await packer.add_image(source, repository, wanted, tagged)
        packer.add_file("chart.tgz", _chart(Path(found_chart(""))))
        packer.add_file("crds.yaml", "---\n".join(as_yaml(each) for each in definitions()).encode())
        packer.finish(fairlead.__version__)


@bundle.command()
@click.argument("file", type=_FILE)
@click.option("--registry", "host", required=True, metavar="HOST[:PORT]", help="The registry that nodes pull from.")
@click.option("--prefix", default="", metavar="PATH", help="In front of the names of the images.")
@_registry
def load(file: Path, host: str, prefix: str, **given: Any) -> None:
    """Put the images of a bundle into a registry. Doing it again sends only what is missing.

    \b
    Example:
      fairlead bundle load fairlead-0.1.0.tar --registry registry.example.com:5000
    """
    from fairlead.install.bundle import Bundle

    with Bundle(file) as opened:
        _tell(f"Sending to {host}:")
        asyncio.run(_loaded(opened, _login(host, given), prefix.strip("/")))
    place = "/".join(filter(None, (host, prefix.strip("/"))))
    ours = next((image for image in opened.images if image.name.rpartition(":")[0].endswith("fairlead")), None)
    click.echo("In fairlead.yaml:")
    click.echo(f"  air_gap: true\n  registry: {{host: {place}}}")
    if ours is not None:
        click.echo(f"  images: {{tag: {ours.tag}}}")


async def _loaded(opened: Bundle, login: Login, prefix: str) -> None:
    from fairlead.install.registry import registry

    async with registry(login) as target:
        for image in opened.images:
            await opened.put(image, target, "/".join(filter(None, (prefix, image.repository))), _tell)


@bundle.command("show")
@click.argument("file", type=_FILE)
@OUTPUT
def show_(file: Path, output: str) -> None:
    """What is in a bundle.

    \b
    Example:
      fairlead bundle show fairlead-0.1.0.tar
    """
    from fairlead.install.bundle import Bundle

    with Bundle(file) as opened:
        files = opened.files
    rows = [{"image": each.name, "digest": each.digest} for each in opened.images]

    def table() -> None:
        click.echo(f"Fairlead {opened.version}, with {', '.join(files)}")
        print_table(["IMAGE", "DIGEST"], [[each["image"], each["digest"]] for each in rows])

    show(
        {"version": opened.version, "images": rows, "files": files},
        output,
        table,
        names=[r["image"] for r in rows],
    )


@bundle.command()
@click.argument("file", type=_FILE)
@click.argument("name", type=click.Choice(["chart.tgz", "crds.yaml"]))
def extract(file: Path, name: str) -> None:
    """Write the chart or the definitions of a bundle here, for those who install with Helm themselves.

    \b
    Example:
      fairlead bundle extract fairlead-0.1.0.tar chart.tgz
    """
    from fairlead.install.bundle import Bundle

    with Bundle(file) as opened:
        Path(name).write_bytes(opened.file(name))
    click.echo(f"{name} is here.")


def _prometheus() -> str:
    """The image that the chart names."""
    from fairlead.install.helm import found_chart
    from fairlead.preflight.reading import document_of

    values = Path(found_chart("")) / "values.yaml"
    image = document_of(values.read_text(encoding="utf-8"), str(values))["prometheus"]["image"]
    return f"{image['repository']}:{image['tag']}"


def _parts(image: str) -> tuple[str, str, str]:
    """(host, repository, tag or digest)."""
    host, _, rest = image.partition("/")
    repository, sign, reference = rest.partition("@") if "@" in rest else rest.rpartition(":")
    if not sign or not repository or "." not in host.replace(":", ".").replace("localhost", "."):
        raise click.BadParameter(
            f"{image!r}: expected HOST/REPOSITORY:TAG or HOST/REPOSITORY@DIGEST", param_hint="--image"
        )
    return ("registry-1.docker.io" if host == "docker.io" else host), repository, reference


def _login(host: str, given: dict[str, Any]) -> Login:
    from fairlead.install.registry import Login

    return Login(
        host=host,
        username=given["username"],
        password=given["password"],
        ca=given["ca"],
        plain=given["plain_http"],
    )


def _chart(folder: Path) -> bytes:
    """As Helm packs it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for file in sorted(each for each in folder.rglob("*") if each.is_file()):
            info = tarfile.TarInfo(f"fairlead/{file.relative_to(folder)}")
            content = file.read_bytes()
            info.size, info.mode = len(content), 0o644
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def _tell(line: str) -> None:
    click.echo(line, err=True)
