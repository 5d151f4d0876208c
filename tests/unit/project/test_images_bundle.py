"""What is said of an image that is built, and what a site without internet gets."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from scripts.images import archive
from scripts.images.bill import bill
from scripts.images.build import Built, cache, version
from scripts.images.bundle import pack
from scripts.images.contents import Package, take_stock
from scripts.images.parts import PARTS

DEBIAN = "Package: libc6\nVersion: 2.36-9+deb12u10\nArchitecture: amd64\nDescription: GNU C Library\n shared\n"
KOPF = "Metadata-Version: 2.4\nName: Kopf\nVersion: 1.45.2\nLicense-Expression: MIT\n\nA framework.\n"
CLICK = "Metadata-Version: 2.1\nName: click\nVersion: 8\nClassifier: License :: OSI Approved :: BSD License\n"
FILES = (
    {"var/lib/dpkg/status.d/libc6": DEBIAN, "usr/lib/libc.so.6": "x" * 100},
    {
        "usr/lib/python3/dist-packages/kopf-1.45.2.dist-info/METADATA": KOPF,
        "usr/lib/python3/dist-packages/click-8.dist-info/METADATA": CLICK,
    },
)


def packed(files: dict[str, str]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as layer:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            layer.addfile(member, io.BytesIO(text.encode()))
    return content.getvalue()


def oci_archive(path: Path, files_of_layers: Sequence[dict[str, str]] = FILES) -> str:
    """Write an image, and give its digest."""
    blobs: dict[str, str] = {}

    def keep(content: bytes) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content.decode("latin-1")
        return {"digest": f"sha256:{digest}", "size": len(content)}

    layers = [keep(gzip.compress(packed(files), mtime=0)) for files in files_of_layers]
    described = keep(json.dumps({"layers": layers}).encode())
    index = json.dumps({"manifests": [described]})
    with tarfile.open(path, "w") as written:
        for name, text in {"index.json": index, **blobs}.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            written.addfile(member, io.BytesIO(text.encode("latin-1")))
    return str(described["digest"])


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Built]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache().mkdir(parents=True)
    made = {}
    for name, part in PARTS.items():
        digest = oci_archive(cache() / f"{part.image}.tar")
        made[name] = Built(part.image, f"localhost/{part.image}:{version()}", "inputs", digest, 1, 2)
        made[name].bill(cache()).write_text("{}\n")
    return made


def test_stock_is_taken_of_both_kinds_of_packages_in_all_layers(tmp_path: Path) -> None:
    oci_archive(tmp_path / "image.tar")
    assert take_stock(tmp_path / "image.tar").packages == (
        Package("deb", "libc6", "2.36-9+deb12u10", architecture="amd64"),
        Package("pypi", "click", "8", "BSD License"),
        Package("pypi", "kopf", "1.45.2", "MIT"),
    )


@pytest.mark.parametrize(
    ("said", "licence"),
    [
        ("License-Expression: MIT\nClassifier: License :: OSI Approved :: BSD License\n", "MIT"),
        ("Classifier: License :: Other/Proprietary License\nLicense: Ours\n", "Other/Proprietary License"),
        ("License: Apache License 2.0\n", "Apache License 2.0"),
        ("License: Permission is hereby granted\n to any person\n", None),
        ("", None),
    ],
)
def test_a_licence_is_named_wherever_a_package_names_it(tmp_path: Path, said: str, licence: str | None) -> None:
    written = {"site/x.dist-info/METADATA": f"Name: x\nVersion: 1\n{said}"}
    oci_archive(tmp_path / "image.tar", [written])
    assert take_stock(tmp_path / "image.tar").packages == (Package("pypi", "x", "1", licence),)


def test_an_image_measures_what_its_files_measure_unpacked(tmp_path: Path) -> None:
    oci_archive(tmp_path / "image.tar")
    assert take_stock(tmp_path / "image.tar").nbytes == sum(len(text) for files in FILES for text in files.values())


def test_an_image_has_the_digest_of_its_manifest(tmp_path: Path) -> None:
    digest = oci_archive(tmp_path / "image.tar")
    image = archive.image(tmp_path / "image.tar")
    assert image.digest == digest
    assert len(image.layers) == 2


def test_a_bill_of_materials_names_packages_as_scanners_look_them_up() -> None:
    packages = (Package("deb", "libstdc++6", "1:2+3", architecture="amd64"), Package("pypi", "kopf", "1.45.2", "MIT"))
    document = json.loads(bill("fedward-operator", "0.1.0", "sha256:ab", packages))
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert document["metadata"]["component"]["purl"] == "pkg:oci/fedward-operator@sha256%3Aab"
    assert [component["purl"] for component in document["components"]] == [
        "pkg:deb/debian/libstdc%2B%2B6@1%3A2%2B3?arch=amd64&distro=debian-12",
        "pkg:pypi/kopf@1.45.2",
    ]
    assert document["components"][1]["licenses"] == [{"license": {"name": "MIT"}}]


def test_the_same_image_has_the_same_bill() -> None:
    assert bill("fedward-door", "1", "sha256:ab", ()) == bill("fedward-door", "1", "sha256:ab", ())
    assert bill("fedward-door", "1", "sha256:ab", ()) != bill("fedward-door", "1", "sha256:cd", ())


def unpacked(path: Path, folder: Path) -> Path:
    with tarfile.open(path) as bundle:
        bundle.extractall(folder, filter="data")
    (top,) = folder.iterdir()
    return top


def test_a_bundle_holds_every_image_with_its_digest_and_its_bill(built: dict[str, Built], tmp_path: Path) -> None:
    pack(built, tmp_path / "bundle.tar")
    top = unpacked(tmp_path / "bundle.tar", tmp_path / "unpacked")
    lines = [line.split() for line in (top / "images.txt").read_text().splitlines()]
    assert {name for name, _, _ in lines} == {f"{part.image}:{version()}" for part in PARTS.values()}
    for name, digest, path in lines:
        assert archive.image(top / path).digest == digest
        assert (top / "bills-of-materials" / f"{name.partition(':')[0]}.cdx.json").exists()


def test_a_bundle_has_the_checksum_of_everything_in_it(built: dict[str, Built], tmp_path: Path) -> None:
    pack(built, tmp_path / "bundle.tar")
    top = unpacked(tmp_path / "bundle.tar", tmp_path / "unpacked")
    lines = [line.split("  ") for line in (top / "SHA256SUMS").read_text().splitlines()]
    there = {str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()} - {"SHA256SUMS"}
    assert {name for _, name in lines} == there
    for digest, name in lines:
        assert hashlib.sha256((top / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("chart", ["fedward-hub", "fedward-site"])
def test_a_bundle_holds_the_charts_and_values_that_pin_their_images(
    built: dict[str, Built], tmp_path: Path, chart: str
) -> None:
    pack(built, tmp_path / "bundle.tar")
    top = unpacked(tmp_path / "bundle.tar", tmp_path / "unpacked")
    with tarfile.open(top / "charts" / f"{chart}-{version()}.tgz") as packaged:
        assert packaged.getnames()[0] == f"{chart}/Chart.yaml"
        values = packaged.extractfile(f"{chart}/values.yaml")
        assert values is not None
        named = yaml.safe_load(values.read())["images"]
    pinned = yaml.safe_load((top / "charts" / f"{chart}-digests.yaml").read_text())["images"]
    assert pinned == {name: {"digest": built[name].digest} for name in named}


def test_the_same_images_give_the_same_bundle(built: dict[str, Built], tmp_path: Path) -> None:
    pack(built, tmp_path / "first.tar")
    pack(built, tmp_path / "second.tar")
    assert (tmp_path / "first.tar").read_bytes() == (tmp_path / "second.tar").read_bytes()
