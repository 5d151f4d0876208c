"""What every image promises to whoever runs it, as its Dockerfile says it."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from scripts.images.parts import PARTS, ROOT, Part

OF_PYTHON = [part for part in PARTS.values() if part.lock is not None]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def instructions(part: Part) -> list[tuple[str, str]]:
    """Give the instructions of the part's last stage and of those that it starts from, in their order."""
    stages: dict[str, list[tuple[str, str]]] = {}
    name = ""
    for line in re.sub(r"\\\n", " ", (ROOT / part.dockerfile).read_text()).splitlines():
        if not line or line.startswith("#"):
            continue
        word, _, rest = line.partition(" ")
        if word == "FROM":
            start, _, name = rest.partition(" AS ")
            stages[name] = list(stages.get(start, []))
        elif name in stages:
            stages[name].append((word, " ".join(rest.split())))
    return stages[part.target or ""]


@pytest.mark.parametrize("part", PARTS.values(), ids=lambda part: part.name)
class TestAnImage:
    def test_runs_as_the_user_whom_the_pods_run_as(self, part: Part) -> None:
        assert [rest for word, rest in instructions(part) if word == "USER"] == ["65532:65532"]

    def test_needs_no_shell_for_its_entrypoint(self, part: Part) -> None:
        (entrypoint,) = [rest for word, rest in instructions(part) if word == "ENTRYPOINT"]
        assert "sh" not in json.loads(entrypoint)

    def test_runs_nothing_in_its_last_stages(self, part: Part) -> None:
        assert not [rest for word, rest in instructions(part) if word == "RUN"]

    def test_copies_nothing_of_the_base(self, part: Part) -> None:
        text = (ROOT / part.dockerfile).read_text()
        assert re.findall(r"^FROM \$\{BASE_IMAGE\} AS (\w+)$", text, re.MULTILINE) == ["debian"]
        copied = [rest for word, rest in instructions(part) if word == "COPY" and rest.startswith("--from=debian")]
        assert copied == ["--from=debian /runtime /"]

    def test_says_what_it_is(self, part: Part) -> None:
        (labels,) = [rest for word, rest in instructions(part) if word == "LABEL"]
        said = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', labels))
        assert said.keys() == {"title", "description", "licenses", "vendor", "version"}
        assert said["title"] == part.image
        assert said["version"] == "${VERSION}"


@pytest.mark.parametrize("part", OF_PYTHON, ids=lambda part: part.name)
def test_a_process_of_python_gets_its_signals_from_an_init_that_reaps(part: Part) -> None:
    (entrypoint,) = [rest for word, rest in instructions(part) if word == "ENTRYPOINT"]
    *before, module = json.loads(entrypoint)
    assert before == ["tini", "--", "python3.11", "-m"]
    assert any(package.split("/")[0] == module.split(".")[0] for package in part.packages)
    assert importlib.util.find_spec(f"{module}.__main__") is not None


@pytest.mark.parametrize("part", OF_PYTHON, ids=lambda part: part.name)
def test_an_image_has_the_protocol_and_one_package_of_the_parts(part: Part) -> None:
    whole = {package for package in part.packages if "/" not in package}
    assert "fedward_protocol" in whole
    assert len(whole) == (1 if part.name == "tracker" else 2)
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {package.split("/")[0] for package in part.packages} <= {Path(package).name for package in wheel}


def test_the_tracker_has_of_the_parts_what_it_imports_and_no_module_more() -> None:
    listed = PARTS["tracker"].packages
    modules = "import sys; print(*(each.__file__ for name, each in sys.modules.items() if name.startswith('fedward_')))"
    of_hub = "fedward_cli.tracking.at_hub"
    imports = f"import {of_hub}.__main__, {of_hub}.following, {of_hub}.finishing"
    done = subprocess.run([sys.executable, "-c", f"{imports}; {modules}"], capture_output=True, text=True, check=True)
    found = ["/".join(Path(file).relative_to(ROOT).parts[1:]) for file in done.stdout.split()]
    assert [file for file in found if not any(file == each or file.startswith(f"{each}/") for each in listed)] == []
    assert [each for each in listed if not any(file == each or file.startswith(f"{each}/") for file in found)] == []


def test_the_images_of_python_share_their_lowest_layers() -> None:
    def below(dockerfile: str) -> str:
        text = (ROOT / dockerfile).read_text()
        return text[text.index("FROM ") : text.index("# In layers by")]

    assert len({below(part.dockerfile) for part in OF_PYTHON}) == 1


@pytest.mark.parametrize("chart", ["fedward-hub", "fedward-site"])
def test_a_chart_names_the_images_that_are_built(chart: str) -> None:
    named = yaml.safe_load((ROOT / "charts" / chart / "values.yaml").read_text())["images"]
    assert {part: image["repository"] for part, image in named.items()} == {part: PARTS[part].image for part in named}


@pytest.mark.parametrize("chart", ["fedward-hub", "fedward-site"])
def test_a_chart_asks_for_the_tag_that_is_built(chart: str) -> None:
    described = yaml.safe_load((ROOT / "charts" / chart / "Chart.yaml").read_text())
    assert described["appVersion"] == PROJECT["project"]["version"]
