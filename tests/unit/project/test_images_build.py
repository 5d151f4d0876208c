"""What is laid out for an image, when it is built again, and where building starts from."""

from __future__ import annotations

import dataclasses
import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from scripts.images import base
from scripts.images.base import Base, prepare
from scripts.images.contexts import drop, lay_packages
from scripts.images.engine import Build
from scripts.images.inputs import digest_of_inputs
from scripts.images.parts import PARTS, Drop, Part

START = Base("localhost/base:1", "sha256:1")
PART = Part("operator", "operator/Dockerfile", lock="operator", packages=("fedward_operator",))


class Registry:
    """An engine that builds nothing, and knows the images that a registry gives and those that are here."""

    def __init__(self, *, gives: Iterable[str] = (), here: Iterable[str] = ()) -> None:
        self._gives, self._here = set(gives), set(here)

    def identity(self, image: str) -> str | None:
        return f"sha256:{image}" if image in self._here else None

    def pull(self, image: str) -> bool:
        self._here |= {image} & self._gives
        return image in self._gives

    def build(self, asked: Build, *, fresh: bool = False) -> None:
        self._here.add(asked.tag)

    def save(self, tag: str, archive: Path) -> None:
        raise AssertionError("a base is not saved")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    files = {
        "LICENSE": "do",
        "README.md": "read",
        "operator/Dockerfile": "FROM scratch",
        "operator/fedward_operator/main.py": "1",
        "operator/fedward_operator/__pycache__/main.pyc": "1",
        "pyproject.toml": '[project]\nversion = "1"\n[tool.mypy]\nstrict = true',
        "requirements/operator.txt": "kopf==1",
        "scripts/images/contexts.py": "1",
        "scripts/images/unpack_debian.sh": "1",
        "server_image/fedward_server/main.py": "1",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    "changed",
    [
        "LICENSE",
        "operator/Dockerfile",
        "operator/fedward_operator/main.py",
        "requirements/operator.txt",
        "scripts/images/unpack_debian.sh",
    ],
)
def test_an_image_is_built_again_when_what_it_is_made_of_changes(checkout: Path, changed: str) -> None:
    before = digest_of_inputs(PART, START, checkout)
    (checkout / changed).write_text("2")
    assert digest_of_inputs(PART, START, checkout) != before


@pytest.mark.parametrize(
    "changed",
    ["README.md", "operator/fedward_operator/__pycache__/main.pyc", "server_image/fedward_server/main.py"],
)
def test_an_image_is_not_built_again_when_something_else_changes(checkout: Path, changed: str) -> None:
    before = digest_of_inputs(PART, START, checkout)
    (checkout / changed).write_text("2")
    assert digest_of_inputs(PART, START, checkout) == before


def test_of_the_project_file_only_what_is_packaged_counts(checkout: Path) -> None:
    before = digest_of_inputs(PART, START, checkout)
    text = (checkout / "pyproject.toml").read_text()
    (checkout / "pyproject.toml").write_text(text.replace("true", "false"))
    assert digest_of_inputs(PART, START, checkout) == before
    (checkout / "pyproject.toml").write_text(text.replace('"1"', '"2"'))
    assert digest_of_inputs(PART, START, checkout) != before


def test_an_image_is_built_again_on_another_base_or_without_other_files(checkout: Path) -> None:
    digests = {
        digest_of_inputs(PART, START, checkout),
        digest_of_inputs(PART, dataclasses.replace(START, identity="sha256:2"), checkout),
        digest_of_inputs(dataclasses.replace(PART, drops=(Drop(("bin",), "why"),)), START, checkout),
    }
    assert len(digests) == 3


def test_only_the_parts_own_packages_of_the_wheel_are_laid_out(tmp_path: Path) -> None:
    wheel = tmp_path / "fedward.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in ("fedward_operator/main.py", "fedward_server/main.py", "fedward-1.dist-info/RECORD"):
            archive.writestr(name, "")
        archive.writestr("fedward-1.dist-info/METADATA", "Name: fedward\nVersion: 1\n\n# Fedward\n")
    lay_packages(["fedward_operator"], wheel, tmp_path / "laid")
    laid = {str(path.relative_to(tmp_path / "laid")) for path in (tmp_path / "laid").rglob("*") if path.is_file()}
    assert laid == {"fedward_operator/main.py", "fedward-1.dist-info/METADATA"}
    assert (tmp_path / "laid/fedward-1.dist-info/METADATA").read_text() == "Name: fedward\nVersion: 1\n"


def test_what_is_dropped_goes_with_all_below_it_and_nothing_else_goes(tmp_path: Path) -> None:
    for name in ("torch/include/a.h", "torch/lib/a.so", "torch/lib/a.a", "numpy/tests/test_a.py", "numpy/testing.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    drop(tmp_path, [Drop(("torch/include", "**/*.a"), "for building"), Drop(("**/tests",), "for testing")])
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"torch/lib/a.so", "numpy/testing.py"}


@pytest.mark.parametrize(("part", "others"), [("gateway", "trainer"), ("trainer", "gateway")])
def test_gateway_and_trainer_go_without_each_others_code(part: str, others: str) -> None:
    patterns = {pattern for each in PARTS[part].drops for pattern in each.patterns}
    assert f"fedward_node/{others}" in patterns
    assert f"fedward_node/{part}" not in patterns


@pytest.mark.parametrize(
    "library",
    [
        "cu13/lib/libcublas.so.13",
        "cu13/lib/libcublasLt.so.13",
        "cu13/lib/libcudart.so.13",
        "cu13/lib/libcufft.so.12",
        "cu13/lib/libcurand.so.10",
        "cu13/lib/libcusolver.so.12",
        "cu13/lib/libcusparse.so.12",
        "cu13/lib/libnvJitLink.so.13",
        "cu13/lib/libnvrtc.so.13",
        "cu13/lib/libnvrtc-builtins.so.13.0",
        "cudnn/lib/libcudnn_engines_precompiled.so.9",
        "nccl/lib/libnccl.so.2",
    ],
)
def test_what_a_gpu_trains_with_stays(tmp_path: Path, library: str) -> None:
    path = tmp_path / "nvidia" / library
    path.parent.mkdir(parents=True)
    path.touch()
    drop(tmp_path, PARTS["trainer"].drops)
    assert path.exists()


def test_building_starts_from_a_public_debian_where_a_registry_gives_it(tmp_path: Path) -> None:
    assert prepare(Registry(gives={base.PUBLIC}), None, tmp_path).name == base.PUBLIC


def test_building_starts_from_the_image_that_is_asked_for(tmp_path: Path) -> None:
    engine = Registry(gives={base.PUBLIC}, here={"localhost/ours:1"})
    assert prepare(engine, "localhost/ours:1", tmp_path) == Base("localhost/ours:1", "sha256:localhost/ours:1")


def test_a_base_that_no_registry_gives_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"registry\.example\.org/debian"):
        prepare(Registry(gives={base.PUBLIC}), "registry.example.org/debian", tmp_path)


def test_without_a_registry_and_mmdebstrap_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(FileNotFoundError, match="name a base with --base, or install mmdebstrap"):
        prepare(Registry(), None, tmp_path)
