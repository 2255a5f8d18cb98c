"""Everything an installation needs, in one file for a network that reaches nothing: images, the chart, the definitions.

The file is an OCI image layout in a tar, so other tools read its images too; our own part is below `fairlead/`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from fairlead.install.registry import MANIFESTS, Registry
from fairlead.runtime.errors import Invalid

Tell = Callable[[str], None]
Document = dict[str, Any]

PART: Final = "fairlead/"
_LAYOUT: Final = b'{"imageLayoutVersion": "1.0.0"}'
_NAME: Final = "org.opencontainers.image.ref.name"
_TITLE: Final = "io.containerd.image.name"
_PIECE: Final = 1 << 20


class Image(Struct, frozen=True, kw_only=True):
    """An image in a bundle. `name`: REPOSITORY:TAG, less the registry."""

    name: str
    digest: str
    media_type: str
    size: int

    @property
    def repository(self) -> str:
        """Without the tag."""
        return self.name.rpartition(":")[0]

    @property
    def tag(self) -> str:
        """Without the repository."""
        return self.name.rpartition(":")[2]


class Packer:
    """Writes a bundle: blobs first, each once, then what they are."""

    def __init__(self, file: Path, tell: Tell) -> None:
        self._tar = tarfile.open(file, "w")  # noqa: SIM115  # until the end of the block
        self._tell = tell
        self._images: list[Image] = []
        self._there: set[str] = set()

    def __enter__(self) -> Packer:
        return self

    def __exit__(self, *_: object) -> None:
        self._tar.close()

    def add_archive(self, archive: Path, name: str) -> None:
        """The image of an OCI archive, under that name. Raises: Invalid."""
        with _opened(archive) as tar:
            index = _json(_content(tar, "index.json", archive))
            if len(index["manifests"]) != 1:
                raise Invalid(f"{archive} holds {len(index['manifests'])} images, and one was expected.", code="bundle")
            top = index["manifests"][0]
            for digest in _below(top, lambda digest: _content(tar, _path(digest), archive)):
                self._add_blob(digest, _content(tar, _path(digest), archive))
        self._add(Image(name=name, digest=top["digest"], media_type=top["mediaType"], size=int(top["size"])))

    async def add_image(self, source: Registry, repository: str, reference: str, name: str) -> None:
        """An image of a registry, all its architectures. Raises: FairleadError; Invalid where a blob has not its digest."""
        media_type, content = await source.manifest(repository, reference)
        top = {"mediaType": media_type, "digest": _digest(content)}
        manifests = {top["digest"]: content}
        for each in _json(content).get("manifests") or ():
            manifests[each["digest"]] = (await source.manifest(repository, each["digest"]))[1]
        for digest in _below(top, lambda digest: manifests[digest]):
            if digest not in manifests:
                await self._fetch(source, repository, digest)
        for digest, each in manifests.items():
            self._add_blob(digest, each)
        self._add(Image(name=name, digest=top["digest"], media_type=media_type, size=len(content)))

    async def _fetch(self, source: Registry, repository: str, digest: str) -> None:
        """By way of a file: layers are large."""
        if digest in self._there:
            return
        found = hashlib.sha256()
        with tempfile.TemporaryFile() as scratch:
            async for piece in source.blob(repository, digest):
                found.update(piece)
                scratch.write(piece)
            if f"sha256:{found.hexdigest()}" != digest:
                raise Invalid(f"{repository}: {digest} came as {found.hexdigest()}.", hint="Try again.", code="bundle")
            info = _info(_path(digest), scratch.tell())
            scratch.seek(0)
            self._tar.addfile(info, scratch)
        self._there.add(digest)

    def add_file(self, name: str, content: bytes) -> None:
        """A file of our own part."""
        self._tar.addfile(_info(PART + name, len(content)), io.BytesIO(content))

    def finish(self, version: str) -> None:
        """Write what it holds: the last thing."""
        entries = [
            {
                "mediaType": each.media_type,
                "digest": each.digest,
                "size": each.size,
                "annotations": {_NAME: each.name, _TITLE: each.name},
            }
            for each in self._images
        ]
        index = {"schemaVersion": 2, "mediaType": MANIFESTS[0], "manifests": entries}
        self.add_file("bundle.json", json.dumps({"bundle": 1, "version": version}).encode())
        for name, content in (("oci-layout", _LAYOUT), ("index.json", json.dumps(index, indent=1).encode())):
            self._tar.addfile(_info(name, len(content)), io.BytesIO(content))

    def _add(self, image: Image) -> None:
        self._images.append(image)
        self._tell(f"  {image.name}  {image.digest}")

    def _add_blob(self, digest: str, content: bytes) -> None:
        if digest in self._there:
            return
        if _digest(content) != digest:
            raise Invalid(
                f"{digest} is not what it says it is.", hint="The archive is broken: make it again.", code="bundle"
            )
        self._tar.addfile(_info(_path(digest), len(content)), io.BytesIO(content))
        self._there.add(digest)


class Bundle:
    """A bundle that is read. Raises: Invalid where it is none."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with contextlib.ExitStack() as unless_read:
            self._tar = unless_read.enter_context(_opened(file))
            self._index = _json(_content(self._tar, "index.json", file))
            self.version = str(_json(_content(self._tar, f"{PART}bundle.json", file))["version"])
            unless_read.pop_all()
        """Of the program that made it, and of the chart in it."""

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, *_: object) -> None:
        self._tar.close()

    @property
    def images(self) -> list[Image]:
        """Those in it."""
        return [
            Image(
                name=each["annotations"][_NAME],
                digest=each["digest"],
                media_type=each["mediaType"],
                size=int(each["size"]),
            )
            for each in self._index["manifests"]
        ]

    @property
    def files(self) -> list[str]:
        """Names of the files of our own part."""
        return [name.removeprefix(PART) for name in self._tar.getnames() if name.startswith(PART)]

    def file(self, name: str) -> bytes:
        """One of them."""
        return _content(self._tar, PART + name, self._file)

    async def put(self, image: Image, target: Registry, repository: str, tell: Tell) -> None:
        """Put an image into a registry; what is there already is not sent again. Raises: FairleadError."""
        top = {"mediaType": image.media_type, "digest": image.digest}
        manifests: list[tuple[str, str, bytes]] = []
        sent = 0
        for digest, media_type in _typed(top, self._blob):
            if media_type in MANIFESTS:
                manifests.append((digest, media_type, self._blob(digest)))
            elif not await target.has_blob(repository, digest):
                info = self._tar.getmember(_path(digest))
                await target.put_blob(repository, digest, info.size, lambda info=info: self._pieces(info))  # type: ignore[misc]
                sent += info.size
        for digest, media_type, content in reversed(manifests):  # an index after what it names
            await target.put_manifest(repository, digest, media_type, content)
        await target.put_manifest(repository, image.tag, image.media_type, self._blob(image.digest))
        tell(f"  {repository}:{image.tag}  {image.digest}  {sent >> 20} MiB sent")

    def _blob(self, digest: str) -> bytes:
        content = _content(self._tar, _path(digest), self._file)
        if _digest(content) != digest:
            raise Invalid(f"{self._file}: {digest} is damaged.", hint="Copy the bundle again.", code="bundle")
        return content

    async def _pieces(self, info: tarfile.TarInfo) -> AsyncIterator[bytes]:
        stream = self._tar.extractfile(info)
        assert stream is not None
        while piece := stream.read(_PIECE):
            yield piece


def _below(top: Mapping[str, Any], content: Callable[[str], bytes]) -> Iterator[str]:
    """Digests of an image, its manifests before what they name."""
    return (digest for digest, _ in _typed(top, content))


def _typed(top: Mapping[str, Any], content: Callable[[str], bytes]) -> Iterator[tuple[str, str]]:
    yield str(top["digest"]), str(top["mediaType"])
    if top["mediaType"] not in MANIFESTS:
        return
    document = _json(content(str(top["digest"])))
    for each in document.get("manifests") or ():
        yield from _typed(each, content)
    for each in (*([document["config"]] if "config" in document else []), *(document.get("layers") or ())):
        yield str(each["digest"]), str(each["mediaType"])


def _opened(file: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(file)
    except (tarfile.TarError, OSError) as error:
        raise Invalid(
            f"{file} cannot be read: {error}.",
            hint="Expected what `fairlead bundle create` or `make image` wrote.",
            code="bundle",
        ) from error


def _content(tar: tarfile.TarFile, name: str, file: Path) -> bytes:
    try:
        stream = tar.extractfile(name)
    except (KeyError, tarfile.TarError) as error:
        raise Invalid(f"{file} has no {name}.", hint="It is cut off, or no bundle.", code="bundle") from error
    assert stream is not None
    return stream.read()


def _info(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info


def _path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _json(content: bytes) -> Document:
    return dict(json.loads(content))
