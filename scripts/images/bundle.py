"""Packs what a site without internet installs from: images, charts, their digests, bills of materials and checksums."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import yaml
from scripts.images.build import Built, cache, version
from scripts.images.parts import ROOT

CHARTS = ("fedward-hub", "fedward-site")
_CHUNK = 1 << 20


def pack(built: Mapping[str, Built], target: Path) -> None:
    """Write the bundle; the same images and charts give the same bytes."""
    top = f"fedward-{version()}"
    sums: list[str] = []
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.partial")
    with tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as bundle:
        for each in built.values():
            for path, folder in ((each.archive(cache()), "images"), (each.bill(cache()), "bills-of-materials")):
                with path.open("rb") as content:
                    _add(bundle, top, f"{folder}/{path.name}", content, sums)
        for name, text in _texts(built).items():
            _add(bundle, top, name, io.BytesIO(text), sums)
        _add(bundle, top, "SHA256SUMS", io.BytesIO("".join(sums).encode()), [])
    partial.rename(target)


def _texts(built: Mapping[str, Built]) -> dict[str, bytes]:
    lines = (f"{each.name}:{version()} {each.digest} images/{each.archive(cache()).name}\n" for each in built.values())
    texts = {"images.txt": "".join(lines).encode(), "images.md": (ROOT / "docs" / "images.md").read_bytes()}
    for chart in CHARTS:
        texts[f"charts/{chart}-{version()}.tgz"] = package_chart(ROOT / "charts" / chart)
        texts[f"charts/{chart}-digests.yaml"] = digests(ROOT / "charts" / chart, built).encode()
    return texts


def digests(chart: Path, built: Mapping[str, Built]) -> str:
    """Make the values with which a chart names its images by digest, so that a registry cannot swap them."""
    named = yaml.safe_load((chart / "values.yaml").read_text())["images"]
    return yaml.safe_dump({"images": {name: {"digest": built[name].digest} for name in named}})


def package_chart(chart: Path) -> bytes:
    """Pack a chart as `helm package` does, without the times of its files."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        # Helm reads the archive in one go, and wants to know first what it is of.
        for path in sorted(chart.rglob("*"), key=lambda path: (path.name != "Chart.yaml", path)):
            if path.is_file():
                _add(archive, chart.name, str(path.relative_to(chart)), io.BytesIO(path.read_bytes()), [])
    return packed.getvalue()


def _add(archive: tarfile.TarFile, top: str, name: str, content: io.BufferedIOBase, sums: list[str]) -> None:
    digest, nbytes = hashlib.sha256(), 0
    while chunk := content.read(_CHUNK):
        digest.update(chunk)
        nbytes += len(chunk)
    content.seek(0)
    member = tarfile.TarInfo(f"{top}/{name}")
    member.size = nbytes
    archive.addfile(member, content)
    sums.append(f"{digest.hexdigest()}  {name}\n")
