"""What a hospital is told of its own data: counts of what is there and what is wrong, and never whose it is."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
from pathlib import Path

import brats_folders as folders
import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedward_node.trainer.inspect import inspect
from fedward_node.trainer.main import EXIT_REFUSED, main
from fedward_protocol.inspection import LONGEST_REPORT, Inspection, Obstacle, Problem


def _file(root: Path, index: int, suffix: str) -> Path:
    name = f"BraTS-GLI-{index:05}-000"
    return root / name / f"{name}-{suffix}.nii.gz"


def _cut(root: Path, index: int, suffix: str) -> None:
    path = _file(root, index, suffix)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _replaced(root: Path, index: int, suffix: str, target: str) -> None:
    path = _file(root, index, suffix)
    path.unlink()
    path.symlink_to(target)


def _relabelled(root: Path, index: int, value: int) -> None:
    path = _file(root, index, "seg")
    values = np.asanyarray(nibabel.load(path).dataobj).copy()
    values[0, 0, 0] = value
    folders.save(path, values)


def _garbled_header(root: Path, index: int) -> None:
    path = _file(root, index, "t1n").with_suffix("")  # .nii, where a header can be changed in place
    folders.save(path, np.ones((16, 16, 16), np.float32))
    header = bytearray(path.read_bytes())
    header[70:72] = (999).to_bytes(2, "little")  # a data type that there is not
    path.write_bytes(header)
    _file(root, index, "t1n").unlink()


HARM = {
    "no label": (lambda root: _file(root, 1, "seg").unlink(), Problem.LABEL_MISSING, 3),
    "label cut short": (lambda root: _cut(root, 1, "seg"), Problem.CASE_UNREADABLE, 3),
    "a label that no release has": (lambda root: _relabelled(root, 1, 9), Problem.LABEL_CONVENTION, 4),
    "no flair": (lambda root: _file(root, 1, "t2f").unlink(), Problem.MODALITY_MISSING, 4),
    "image cut short": (lambda root: _cut(root, 1, "t2w"), Problem.CASE_UNREADABLE, 4),
    "no NIfTI": (lambda root: _file(root, 1, "t1c").write_bytes(b"hello"), Problem.CASE_UNREADABLE, 4),
    "header garbled": (lambda root: _garbled_header(root, 1), Problem.CASE_UNREADABLE, 4),
    "link to itself": (lambda root: _replaced(root, 1, "t1n", _file(root, 1, "t1n").name), Problem.CASE_UNREADABLE, 4),
    "link to nowhere": (lambda root: _replaced(root, 1, "t1n", "/nowhere/at/all"), Problem.CASE_UNREADABLE, 4),
    "another shape": (
        lambda root: folders.save(_file(root, 1, "t2w"), np.ones((16, 16, 15), np.float32)),
        Problem.AFFINE_MISMATCH,
        4,
    ),
}


@pytest.mark.parametrize(("harm", "problem", "labelled"), HARM.values(), ids=HARM.keys())
def test_one_thing_wrong_is_counted_once_and_the_other_cases_are_complete(harm, problem, labelled, tmp_path):
    folders.brats(tmp_path, 4)
    harm(tmp_path)
    assert inspect(tmp_path) == Inspection(cases=4, labelled=labelled, complete=3, problems={problem: 1})


@pytest.mark.parametrize("layout", [*folders.SUFFIXES, "decathlon"])
def test_every_layout_is_counted(layout, tmp_path):
    folders.decathlon(tmp_path, 2) if layout == "decathlon" else folders.brats(tmp_path, 2, layout)
    complete = Inspection(cases=2, labelled=2, complete=2)
    assert inspect(tmp_path) == complete
    assert inspect(tmp_path, layout) == complete


def test_a_case_with_several_things_wrong_is_counted_for_each():
    both = Inspection(cases=3, labelled=2, complete=2, problems={Problem.LABEL_MISSING: 1, Problem.MODALITY_MISSING: 1})
    assert both.summary() == "3 cases, 2 labelled, 2 complete; LabelMissing 1, ModalityMissing 1"
    assert Inspection.read(both.write()) == both


def test_labels_that_fit_another_release_better_are_a_problem_of_every_case(tmp_path):
    for index in range(2):
        folders.brats_case(tmp_path, index, "brats2023", values=(2, 1, 4))  # 4 without any 3
    found = inspect(tmp_path, "brats2023")
    assert (found.complete, found.problems) == (0, {Problem.LABEL_CONVENTION: 2})


def test_a_folder_that_may_not_be_opened_is_not_passed_over_without_a_word(tmp_path, monkeypatch):
    folders.brats(tmp_path, 2)
    scan = os.scandir

    def guarded(path):
        if Path(path).name == "BraTS-GLI-00001-000":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", guarded)
    assert inspect(tmp_path) == Inspection(cases=1, labelled=1, complete=1, problems={Problem.FOLDER_UNREADABLE: 1})


def test_a_dataset_that_may_not_be_opened_says_so(tmp_path, monkeypatch):
    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", denied)
    assert inspect(tmp_path).obstacle is Obstacle.DATASET_UNREADABLE


def _circle_of_links(root: Path) -> None:
    (root / "imagesTr").mkdir()
    (root / "imagesTr/a.nii.gz").symlink_to("a.nii.gz")
    listed = {"modality": {"0": "FLAIR"}, "training": [{"image": "imagesTr/a.nii.gz", "label": "imagesTr/a.nii.gz"}]}
    (root / "dataset.json").write_text(json.dumps(listed))


USELESS = {
    "missing": (lambda root: root.rmdir(), Obstacle.DATASET_EMPTY),
    "empty": (lambda root: None, Obstacle.DATASET_EMPTY),
    "no layout that is known": (lambda root: (root / "scan.dcm").touch(), Obstacle.DATASET_FORMAT_UNKNOWN),
    "a file instead of a folder": (lambda root: (root.rmdir(), root.touch()), Obstacle.DATASET_EMPTY),
    "a folder that leads back to itself": (lambda root: (root / "up").symlink_to("."), Obstacle.DATASET_FORMAT_UNKNOWN),
    "a list without an end": (
        lambda root: (root / "dataset.json").write_text("[" * 100_000),
        Obstacle.DATASET_UNREADABLE,
    ),
    "a list of links in a circle": (_circle_of_links, Obstacle.DATASET_UNREADABLE),
    "a list that leads out": (
        lambda root: (root / "dataset.json").write_text(
            '{"modality": {"0": "FLAIR"}, "training": [{"image": "../../etc/passwd", "label": "x"}]}'
        ),
        Obstacle.DATASET_FORMAT_UNKNOWN,
    ),
}


@pytest.mark.parametrize(("make", "obstacle"), USELESS.values(), ids=USELESS.keys())
def test_what_cannot_be_inspected_at_all_ends_with_one_reason(make, obstacle, tmp_path, capsys):
    root, report = tmp_path / "data", tmp_path / "report"
    root.mkdir()
    make(root)
    assert main(["inspect", "--data", str(root), "--report", str(report)]) == EXIT_REFUSED
    assert Inspection.read(report.read_text()) == Inspection(obstacle=obstacle)
    assert capsys.readouterr().out == f"cannot be inspected: {obstacle}\n"


def test_problems_that_were_counted_are_no_failure(tmp_path, capsys):
    folders.brats(tmp_path / "data", 2)
    _cut(tmp_path / "data", 0, "t1c")
    report = tmp_path / "report"
    assert main(["inspect", "--data", str(tmp_path / "data"), "--format=brats2023", "--report", str(report)]) == 0
    assert json.loads(report.read_text()) == {
        "cases": 2,
        "labelled": 2,
        "complete": 1,
        "problems": {"CaseUnreadable": 1},
    }
    assert capsys.readouterr().out == "2 cases, 2 labelled, 1 complete; CaseUnreadable 1\n"


def test_the_longest_report_fits_a_containers_last_words():
    most = 10_000_000
    report = Inspection(cases=most, labelled=most, complete=most, problems=dict.fromkeys(Problem, most))
    assert len(report.write().encode()) <= LONGEST_REPORT


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"cases": -1}', '{"cases": 1, "names": ["a"]}', "[" * 9999])
def test_anything_else_is_no_report(text):
    assert Inspection.read(text) is None


@pytest.fixture(scope="module")
def pattern(tmp_path_factory):
    """Cases A and B with most of what can be wrong, to be given other names."""
    root = tmp_path_factory.mktemp("pattern")
    for index in range(3):
        folders.brats_case(root, index, name=f"@{index}")
    (root / "@0/@0-seg.nii.gz").write_bytes(b"no label map")
    (root / "@1/@1-t1n.nii.gz").unlink()
    (root / "@2/@2-t2w.nii.gz").unlink()
    (root / "@2/@2-t2w.nii.gz").symlink_to("@2-t2w.nii.gz")
    folders.save(root / "@1/@1-seg.nii.gz", np.full((16, 16, 16), 77, np.uint8), np.diag([1, 1, 2, 1]))
    return root


# What file systems take; "-" stands between a name and its suffix, and may stand in the name as well.
NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=40).filter(
    lambda name: not name.startswith(".") and len(name.encode()) < 200
)


@settings(max_examples=40, deadline=None)
@given(names=st.lists(NAMES, min_size=3, max_size=3, unique=True))
def test_what_is_said_does_not_depend_on_any_name(pattern, tmp_path_factory, names):
    root = tmp_path_factory.mktemp("named")
    for index, name in enumerate(names):
        (root / name).mkdir()
        for file in sorted((pattern / f"@{index}").iterdir()):
            new = root / name / file.name.replace(f"@{index}", name)
            new.symlink_to(new.name) if file.is_symlink() else shutil.copyfile(file, new)
    assert _all_that_is_said(root) == _all_that_is_said(pattern)
    shutil.rmtree(root)


def _all_that_is_said(root: Path) -> tuple[int, str, str, str]:
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        report = root.parent / f"{root.name}.json"
        code = main(["inspect", "--data", str(root), "--format", "brats2023", "--report", str(report)])
    return code, out.getvalue(), err.getvalue(), report.read_text()


def test_the_names_in_that_property_are_seen_to_be_harmed(pattern):
    code, out, err, report = _all_that_is_said(pattern)
    assert (code, err) == (0, "")
    assert out == "3 cases, 2 labelled, 0 complete; " + (
        "AffineMismatch 1, CaseUnreadable 2, LabelConvention 1, ModalityMissing 1\n"
    )
    assert json.loads(report)["cases"] == 3
