from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from fedward_cli.phantom import anatomy, contrasts, tumour
from fedward_cli.phantom.cohorts import Cohort, demo, table
from fedward_cli.phantom.generate import Settings, case_folder, generate, make
from fedward_cli.phantom.grid import Grid, parse_size
from fedward_cli.phantom.scanner import Scanner
from fedward_cli.phantom.warp import Warp

SMALL = Settings(Grid.around_brain((24, 24, 24)), 7, "brats2023")


def unheard(done: int, total: int) -> None: ...


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("phantom")
    generate(demo(), SMALL, out, unheard)
    return out


def _volumes(out: Path, patient: Any, settings: Settings = SMALL) -> dict[str, nibabel.Nifti1Image]:
    folder = case_folder(out, patient, settings.format)
    return {path.name.split("-")[-1].split(".")[0]: nibabel.load(path) for path in sorted(folder.iterdir())}


def _digests(out: Path) -> dict[str, str]:
    files = (path for path in out.rglob("*") if path.is_file())
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_ones(made: Path, tmp_path: Path) -> None:
    patients = demo().patients()[:3]
    (tmp_path / "again" / "north").mkdir(parents=True)
    (tmp_path / "other" / "north").mkdir(parents=True)
    for patient in patients:
        make(patient, SMALL, tmp_path / "again")
        make(patient, Settings(SMALL.grid, 8, "brats2023"), tmp_path / "other")
    first, again, other = _digests(made), _digests(tmp_path / "again"), _digests(tmp_path / "other")
    assert len(again) == 15
    assert all(first[name] == digest for name, digest in again.items())
    assert not set(first.values()) & set(other.values())


def test_a_patient_does_not_depend_on_how_many_sites_or_processes_there_are(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fedward_cli.phantom.generate._WORTH_A_POOL", 0)
    monkeypatch.setattr("fedward_cli.phantom.generate._cores", lambda: 2)
    last = demo().sites[3]
    generate(Cohort("one", (last,)), SMALL, tmp_path, unheard)
    alone = _digests(tmp_path)
    assert len(alone) == 50
    assert alone == {name: digest for name, digest in _digests(made).items() if name.startswith("west/")}


def test_no_two_patients_are_alike(made: Path) -> None:
    truths = {hashlib.sha256(path.read_bytes()).hexdigest() for path in made.rglob("*-seg.nii.gz")}
    assert len(truths) == len(demo().patients())


def test_every_patient_is_well_formed(made: Path) -> None:
    for patient in demo().patients():
        volumes = _volumes(made, patient)
        assert sorted(volumes) == ["seg", "t1c", "t1n", "t2f", "t2w"]
        labels = np.asarray(volumes["seg"].dataobj)
        brain = np.asarray(volumes["t1n"].dataobj) > 0
        assert set(np.unique(labels)) <= {0, 1, 2, 3}
        assert 0.2 < brain.mean() < 0.6
        assert brain[labels > 0].all()
        for name, volume in volumes.items():
            assert volume.shape == (24, 24, 24)
            assert np.array_equal(volume.affine, volumes["seg"].affine)
            assert np.allclose(volume.header.get_zooms(), SMALL.grid.spacing)
            assert volume.header.get_xyzt_units()[0] == "mm"
            values = np.asarray(volume.dataobj)
            if name != "seg":
                assert values.dtype == np.int16
                assert ((values > 0) == brain).all()
                assert np.std(values[brain]) > 10


def test_high_grade_tumours_enhance_and_low_grade_ones_do_not(made: Path) -> None:
    for patient in demo().patients():
        labels = np.asarray(_volumes(made, patient)["seg"].dataobj)
        assert (labels == tumour.ENHANCING).any() == (patient.grade == "high")
        assert (labels == tumour.OEDEMA).sum() > 5
        assert np.isin(labels, (tumour.NECROSIS, tumour.ENHANCING)).sum() > 1


@pytest.mark.parametrize("seed", range(40))
def test_tumours_are_nested_as_their_regions_say(seed: int) -> None:
    grid = Grid.around_brain((32, 32, 32))
    rng = np.random.default_rng(seed)
    brain = Warp.draw(rng).bring(anatomy.load(grid.spacing), grid)
    lesion = tumour.grow(brain, grid, "high", rng)
    shares = lesion.oedema, lesion.core, lesion.enhancing
    whole = sum(shares)
    assert all(share.min() >= 0 for share in shares)
    assert whole.max() <= 1 + 1e-6
    assert not whole[~brain.mask].any()
    labels = lesion.labels()
    assert ((labels > 0) == (whole > 0.5)).all()
    assert (labels == tumour.ENHANCING).any()
    voxels = (labels > 0).sum() * grid.spacing**3
    assert voxels < 4 / 3 * np.pi * (0.24 * 186 * 1.6) ** 3


def test_enhancing_rim_is_the_brightest_of_t1c_before_the_scanner() -> None:
    grid = Grid.around_brain((48, 48, 48))
    rng = np.random.default_rng(1)
    brain = Warp.draw(rng).bring(anatomy.load(grid.spacing), grid)
    lesion = tumour.grow(brain, grid, "high", rng)
    images, labels = contrasts.render(brain, lesion, grid, rng), lesion.labels()
    t1c, flair = images["t1c"], images["t2f"]
    assert t1c[labels == tumour.ENHANCING].mean() > t1c[labels == 0][brain.mask[labels == 0]].mean()
    assert t1c[labels == tumour.ENHANCING].mean() > 1.5 * t1c[labels == tumour.NECROSIS].mean()
    assert flair[labels == tumour.OEDEMA].mean() > 1.3 * flair[(labels == 0) & brain.mask].mean()


def test_harmless_spots_are_as_bright_as_oedema_and_not_labelled() -> None:
    grid = Grid.around_brain((48, 48, 48))
    found = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        brain = Warp.draw(rng).bring(anatomy.load(grid.spacing), grid)
        lesion = tumour.grow(brain, grid, "low", rng)
        flair = contrasts.render(brain, lesion, grid, rng)["t2f"]
        found += int(((flair > 0.8) & (lesion.oedema + lesion.core == 0)).sum())
    assert found > 50


def test_sites_see_the_same_patient_differently(made: Path) -> None:
    means, grain = {}, {}
    for site in demo().sites:
        t1 = [np.asarray(_volumes(made, patient)["t1n"].dataobj, float) for patient in site.patients()[:4]]
        means[site.name] = np.mean([image[image > 0].mean() for image in t1])
        grain[site.name] = np.mean([np.abs(np.diff(i, axis=0))[8:16].mean() / i[i > 0].mean() for i in t1])
    for values, apart in ((means, 1.2), (grain, 1.2)):
        assert max(values.values()) > apart * min(values.values())
    assert max(grain, key=grain.__getitem__) != "north"


@pytest.mark.parametrize("size", ["16", "32", "96", "64x64x40"])
def test_the_anatomy_fits_every_grid(size: str) -> None:
    grid = Grid.around_brain(parse_size(size))
    brain = Warp(np.eye(3), Warp.draw(np.random.default_rng(0)).shifts).bring(anatomy.load(grid.spacing), grid)
    litres = brain.mask.sum() * grid.spacing**3 / 1e6
    assert 1.5 < litres < 2.4  # the template's skull-stripped volume is 1.9 litres
    for share in (brain.grey, brain.white, brain.fluid):
        assert np.isfinite(share).all()
        assert share.min() >= 0
        assert share.max() <= 1.001
    centre = np.argwhere(brain.mask).mean(axis=0) / (np.asarray(grid.shape) - 1)
    assert np.abs(centre - 0.5).max() < 0.06


def test_the_same_patient_has_the_same_tumour_on_a_finer_grid() -> None:
    volumes = []
    for size in ("32", "64"):
        grid = Grid.around_brain(parse_size(size))
        rng = np.random.default_rng(3)
        brain = Warp.draw(rng).bring(anatomy.load(grid.spacing), grid)
        volumes.append((tumour.grow(brain, grid, "low", rng).labels() > 0).sum() * grid.spacing**3)
    assert volumes[0] == pytest.approx(volumes[1], rel=0.15)


def test_the_older_naming_has_the_older_label(tmp_path: Path) -> None:
    settings = Settings(SMALL.grid, 0, "brats2021")
    patient = demo().patients()[0]
    (tmp_path / "north").mkdir()
    make(patient, settings, tmp_path)
    folder = tmp_path / "north" / "BraTS2021_01001"
    names = {path.name.removeprefix("BraTS2021_01001_") for path in folder.iterdir()}
    assert names == {"t1.nii.gz", "t1ce.nii.gz", "t2.nii.gz", "flair.nii.gz", "seg.nii.gz"}
    labels = np.unique(np.asarray(nibabel.load(folder / "BraTS2021_01001_seg.nii.gz").dataobj))
    assert set(labels) <= {0, 1, 2, 4}
    assert (4 in labels) == (patient.grade == "high")


def test_the_tables_scanners_come_from_the_seed_and_differ() -> None:
    scanners = [Scanner.draw(np.random.default_rng(site.number), site.blur, site.noise) for site in table().sites]
    assert len({scanner.noise for scanner in scanners}) == 13
    assert {scanner.blur for scanner in scanners} == {0.0, 0.5, 0.9}
    assert all(0.04 <= scanner.noise <= 0.16 for scanner in scanners)
