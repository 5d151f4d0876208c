from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from fedward_cli.phantom.command import phantom
from fedward_cli.phantom.grid import Grid, parse_size
from fedward_node.trainer.data.dataset import open_dataset
from fedward_protocol.plan import Plan

app = typer.Typer()
app.command()(phantom)


def _run(*arguments: object) -> tuple[int, str]:
    result = CliRunner(env={"COLUMNS": "200", "TERM": "dumb"}).invoke(app, [str(each) for each in arguments])
    return result.exit_code, " ".join(result.output.split())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cohort") / "phantom"
    assert _run(out, "--sites", 4, "--size", 16)[0] == 0
    return out


def test_it_says_what_it_wrote(tmp_path: Path) -> None:
    code, said = _run(tmp_path / "out", "--sites", 1, "--size", 16)
    assert code == 0
    assert "north 20 (18 high, 2 low grade) 6 (5 high, 1 low grade)" in said
    assert "26 synthetic patients of 16 x 16 x 16 voxels" in said
    assert "MB in" in said


def test_each_site_says_that_it_is_synthetic_and_whose_anatomy_it_is(made: Path) -> None:
    for site in ("north", "south", "east", "west"):
        cohort = json.loads((made / site / "cohort.json").read_text())
        assert cohort["synthetic"] is True
        assert "copyright" in cohort["licence"]
        assert (cohort["seed"], cohort["generator"]) == (0, 1)
        readme = (made / site / "README.md").read_text()
        assert "no patient" in readme
        assert "McConnell" in readme


def test_the_split_names_every_case_once(made: Path) -> None:
    split = json.loads((made / "east" / "split.json").read_text())
    assert sorted(split["training"] + split["validation"]) == sorted(p.name for p in (made / "east").glob("BraTS-*"))
    assert (len(split["training"]), len(split["validation"])) == (6, 6)


@pytest.mark.parametrize("site", ["north", "west"])
def test_the_trainer_reads_it_with_its_split(made: Path, site: str) -> None:
    plan = Plan.model_validate(
        {
            "federation": "fedward.test",
            "job": {"name": "tumour", "namespace": "research", "uid": "0123456789"},
            "sites": [site],
            "model": {"network": {"name": "UNet"}},
            "data": {"dataset": "brats"},
            "rounds": {"count": 1, "quorum": 1, "deadlineS": 60, "graceS": 0},
        }
    )
    dataset = open_dataset(made / site, plan)
    assert len(dataset.training) == {"north": 20, "west": 4}[site]
    assert (len(dataset.validation), dataset.skipped) == (6, 0)


def test_running_it_again_changes_nothing_and_fills_what_is_missing(made: Path) -> None:
    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    shutil.rmtree(made / "west" / "BraTS-GLI-04001-000")
    (made / "west" / "BraTS-GLI-04002-000").rename(made / "west" / "BraTS-GLI-04002-000.partial")
    assert _run(made, "--size", 16)[0] == 0
    assert {path: path.read_bytes() for path in made.rglob("*") if path.is_file()} == before


def test_it_never_mixes_with_other_data(made: Path, tmp_path: Path) -> None:
    (tmp_path / "scan.nii.gz").write_bytes(b"a patient's")
    code, said = _run(tmp_path, "--size", 16)
    assert code == 2
    assert "is not empty and holds no phantom" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scan.nii.gz"]
    code, said = _run(tmp_path / "scan.nii.gz")
    assert "is a file" in said
    code, said = _run(made, "--size", 16, "--seed", 1)
    assert code == 2
    assert "made with other options" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--size", "12x"), "such as 240x240x155"),
        (("--size", "big"), "not 'big'"),
        (("--size", "0"), "between 16 and 512"),
        (("--size", "32x32x900"), "between 16 and 512"),
        (("--sites", "5"), "1 to 4 sites"),
        (("--format", "brats1999"), "one of brats2023, brats2021"),
    ],
)
def test_a_bad_option_is_named(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    code, said = _run(tmp_path / "out", *arguments)
    assert code == 2
    assert says in said
    assert not (tmp_path / "out").exists()


def test_brats_own_size_has_brats_own_spacing() -> None:
    assert Grid.around_brain(parse_size("240x240x155")).spacing == 1.0
    assert Grid.around_brain(parse_size("32")).spacing == pytest.approx(5.8125)
