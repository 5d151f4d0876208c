"""Builds the images that are not there yet, or whose inputs have changed, into OCI archives outside the checkout."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.images import archive, base, contexts, engine
from scripts.images.bill import bill
from scripts.images.contents import take_stock
from scripts.images.inputs import digest_of_inputs
from scripts.images.parts import PARTS, ROOT, Part

Say = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Built:
    """An image that is there, and what it was made from."""

    name: str
    tag: str
    inputs: str
    digest: str
    packed_nbytes: int
    nbytes: int

    def archive(self, folder: Path) -> Path:
        """Say where it lies."""
        return folder / f"{self.name}.tar"

    def bill(self, folder: Path) -> Path:
        """Say where its bill of materials lies."""
        return folder / f"{self.name}.cdx.json"


def cache() -> Path:
    """Give the folder of all that is built, outside any checkout."""
    above = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(above) / "fedward" / "images"


def version() -> str:
    """Give the version that the images are tagged with."""
    found: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return found


def build(names: Sequence[str] = tuple(PARTS), say: Say = lambda _: None) -> dict[str, Path]:
    """Build the named parts' images; give the OCI archive of each, tagged localhost/fedward-NAME:VERSION.

    Raises:
        KeyError: there is no part of that name.
        FileNotFoundError: a tool is missing; the message says which.
        subprocess.CalledProcessError: a tool found an error and has printed it.
    """
    return {part: built.archive(cache()) for part, built in build_all(names, say=say).items()}


def build_all(
    names: Sequence[str] = tuple(PARTS),
    asked_base: str | None = None,
    *,
    fresh: bool = False,
    say: Say = lambda _: None,
) -> dict[str, Built]:
    """Build likewise, from the base that is asked for; `fresh` builds all of it anew, with Debian's newest packages."""
    parts = [PARTS[name] for name in names]
    folder = cache()
    with _alone(folder):
        builder = engine.find()
        start = base.prepare(builder, asked_base, folder / "base")
        found = {}
        for part in parts:
            inputs = digest_of_inputs(part, start)
            known = None if fresh else _known(part, inputs, folder)
            if known is None:
                say(f"building {part.image}")
            found[part.name] = known or _make(part, builder, start, inputs, folder, fresh)
        return found


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _known(part: Part, inputs: str, folder: Path) -> Built | None:
    record = folder / f"{part.image}.json"
    if not record.exists():
        return None
    built = Built(**json.loads(record.read_text()))
    return built if built.inputs == inputs and built.archive(folder).exists() and built.bill(folder).exists() else None


def _make(part: Part, builder: engine.Engine, start: base.Base, inputs: str, folder: Path, fresh: bool) -> Built:
    record = folder / f"{part.image}.json"
    record.unlink(missing_ok=True)
    path = folder / f"{part.image}.tar"
    make_archive(part, builder, start, path, fresh=fresh)
    image, contents = archive.image(path), take_stock(path)
    tag = tag_of(part)
    built = Built(part.image, tag, inputs, image.digest, sum(layer.nbytes for layer in image.layers), contents.nbytes)
    built.bill(folder).write_text(bill(part.image, version(), image.digest, contents.packages))
    record.write_text(json.dumps(asdict(built), indent=2) + "\n")
    return built


def tag_of(part: Part) -> str:
    """Give the name of the image in its archive and in the engine's store."""
    return f"localhost/{part.image}:{version()}"


def make_archive(part: Part, builder: engine.Engine, start: base.Base, path: Path, *, fresh: bool) -> None:
    """Build one image into the archive `path`, whatever is there already."""
    arguments = {"BASE_IMAGE": start.name, "VERSION": version(), "SOURCES": digest_of_inputs(part, start)}
    # Beside the installer's cache most often, so that files that are in both take their space once.
    with tempfile.TemporaryDirectory(dir=path.parent) as made:
        laid, partial = contexts.lay(part, Path(made)), Path(made, "image.tar")
        asked = engine.Build(ROOT / part.dockerfile, ROOT, tag_of(part), part.target, arguments, laid)
        builder.build(asked, fresh=fresh)
        builder.save(asked.tag, partial)
        shutil.move(partial, path)
