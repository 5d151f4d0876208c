from __future__ import annotations

import json
from pathlib import Path

import pytest
import runs

from fedward_cli.problems import InputError
from fedward_cli.results import (
    METRICS,
    Mean,
    Result,
    mean_over_sites,
    read_baselines,
    read_result,
    read_rounds,
    write_record,
)


def test_a_result_reads_back_as_it_was_written(tmp_path: Path) -> None:
    out = runs.write(tmp_path, runs.result(), runs.records())
    assert read_result(out) == runs.result()
    assert list(read_rounds(out)) == runs.records()


def test_a_line_cut_off_by_a_crash_is_left_out_and_a_damaged_one_is_not(tmp_path: Path) -> None:
    out = runs.write(tmp_path, runs.result(), runs.records())
    whole = (out / METRICS).read_text()
    (out / METRICS).write_text(whole[:-40])
    assert list(read_rounds(out)) == runs.records()[:-1]
    (out / METRICS).write_text("{}\n" + whole)
    with pytest.raises(InputError, match=rf"{METRICS}:1: round: Field required: the file is damaged"):
        read_rounds(out)


def test_what_a_later_version_adds_is_passed_over(tmp_path: Path) -> None:
    out = runs.write(tmp_path, runs.result())
    document = json.loads((out / "result.json").read_text()) | {"novelty": 1}
    assert Result.model_validate(document) == runs.result()


def test_what_was_not_run_is_none_or_empty(tmp_path: Path) -> None:
    assert read_baselines(tmp_path) is None
    assert read_rounds(tmp_path) == ()


def test_a_mean_of_no_case_is_none_and_left_out_of_the_mean_over_sites() -> None:
    assert Mean(sum=0, count=0).value is None
    by_site = {
        "a": {"dice": Mean(sum=8, count=10)},
        "b": {"dice": Mean(sum=0.4, count=1)},
        "c": {"dice": Mean(sum=0, count=0)},
    }
    assert mean_over_sites(by_site) == {"dice": pytest.approx(0.6)}


def test_a_record_replaces_its_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("old")
    write_record(path, runs.result())
    assert [each.name for each in tmp_path.iterdir()] == ["result.json"]
    assert Result.model_validate_json(path.read_bytes()).name == "brain-tumour"
