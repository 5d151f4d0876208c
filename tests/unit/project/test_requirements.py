"""What each part's locked installation may and may not hold."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[3]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
EXTRAS = ("operator", "server", "gateway", "tracker", "node", "phantom", "cli", "dev")


def locked(extra: str) -> set[str]:
    text = (ROOT / "requirements" / f"{extra}.txt").read_text()
    return set(re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE))


@pytest.mark.parametrize(
    ("extra", "forbidden"),
    [
        ("operator", {"torch", "numpy", "monai"}),
        ("server", {"torch", "monai", "nibabel", "kubernetes"}),
        ("gateway", {"torch", "monai", "nibabel", "kubernetes"}),
        ("tracker", {"torch", "monai", "numpy", "pandas", "tensorboard", "rich", "typer", "kubernetes"}),
    ],
)
def test_a_part_installs_nothing_that_it_must_not_have(extra: str, forbidden: set[str]) -> None:
    assert locked(extra) & forbidden == set()


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_extra_is_locked_with_all_that_it_names(extra: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = project["dependencies"] + project["optional-dependencies"][extra]
    direct = {re.split(r"[\[<>=!~; ]", requirement)[0].lower() for requirement in named} - {"fedward"}
    assert direct <= {name.lower() for name in locked(extra)}


@pytest.mark.parametrize(
    ("package", "too_old", "lacks"),
    [
        ("prometheus-client", "0.22", "remove_by_labels"),
        ("opentelemetry-exporter-otlp-proto-grpc", "1.30", "channel_options"),
    ],
)
def test_no_version_will_do_that_lacks_what_the_code_calls(package: str, too_old: str, lacks: str) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = [wanted for extra in extras.values() for wanted in map(Requirement, extra) if wanted.name == package]
    assert named
    assert not any(wanted.specifier.contains(too_old) for wanted in named), lacks


@pytest.mark.parametrize("extra", EXTRAS)
def test_each_locked_version_is_one_that_will_do(extra: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (ROOT / "requirements" / f"{extra}.txt").read_text()
    pins = dict(re.findall(r"^([A-Za-z0-9._-]+)==([^ \\]+)", text, re.MULTILINE))
    wanted = map(Requirement, project["dependencies"] + project["optional-dependencies"][extra])
    assert [str(each) for each in wanted if each.name in pins and pins[each.name] not in each.specifier] == []


@pytest.mark.parametrize("lock", [lock for lock in LOCKS if lock.name != "constraints.txt"], ids=lambda p: p.name)
def test_every_locked_version_has_a_hash_and_no_lock_names_an_index(lock: Path) -> None:
    text = lock.read_text()
    pins = re.findall(r"^[A-Za-z0-9._-]+==", text, re.MULTILINE)
    hashed = re.findall(r"^[A-Za-z0-9._-]+==[^\n]*\\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
    assert len(pins) == len(hashed) > 0
    assert "://" not in text
    assert "index-url" not in text


@pytest.mark.parametrize("extra", EXTRAS)
def test_a_part_runs_on_the_versions_that_the_tests_run_on(extra: str) -> None:
    def pins(name: str) -> set[str]:
        text = (ROOT / "requirements" / f"{name}.txt").read_text()
        return set(re.findall(r"^[A-Za-z0-9._-]+==[^ \\]+", text, re.MULTILINE))

    assert pins(extra) - pins("dev") == set()
