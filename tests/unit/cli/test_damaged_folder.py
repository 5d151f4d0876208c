"""A run's folder with any of its files damaged: whoever reads it passes the damage over, or says where it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.cli.report.runs import baselines
from tests.unit.cli.tracking.records import write_rounds

from fedward_cli.describe.of_run import describe
from fedward_cli.documents import Documents
from fedward_cli.local.attempt import begin
from fedward_cli.local.charts import Charts
from fedward_cli.local.folder import Folder, locked
from fedward_cli.local.history import History
from fedward_cli.logs.of_folder import lines
from fedward_cli.problems import InputError
from fedward_cli.progress.of_folder import follow, read
from fedward_cli.progress.track import Track
from fedward_cli.progress.view import Lines
from fedward_cli.report import write_report
from fedward_cli.results import BASELINES, RESULT, Network, Result, SiteResult, write_record
from fedward_cli.tracking import command
from fedward_cli.tracking.logbook import Logbook
from fedward_cli.tracking.points import Point
from fedward_cli.tracking.settings import SETTINGS
from fedward_cli.watch_command import watch
from fedward_protocol.reasons import RefusedError

SITES = ("north", "south")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FILES = (
    "result.json",
    "metrics.jsonl",
    "rounds.jsonl",
    "baselines.json",
    "examples/north.npz",
    "logs/aggregator.log",
    "run/plan.json",
    "run/attempt.json",
    f"run/{SETTINGS}",
    "tensorboard/north/events.out.tfevents.fedward",
)
ODD: tuple[Any, ...] = (
    *(-1, 0, 2**31, 2**63, 10**30, 10**400, 1e99, 1e308, -1e308, 0.5, float("nan"), float("inf")),
    *(None, True, [], {}, [[]], {"a": {}}, "", "north", "../../elsewhere", "a\0b", "x" * 5000, "ä", "1", "NaN"),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1970-01-01T00:00:00Z", "2026-03-01T00:00:00"),
)


class Server:
    """An MLflow server that takes everything."""

    def attach(self) -> int:
        return 0

    def log(self, points: Sequence[Point], closed_round: int | None = None) -> None:
        # What the client makes of a point before it sends it.
        for point in points:
            round(1000 * point.at)

    def tag(self, tags: object) -> None:
        pass

    def set_status(self, status: str, ended_at: float | None = None) -> None:
        if ended_at is not None:
            round(1000 * ended_at)

    def upload(self, path: Path, digest: str) -> None:
        pass


def resume(out: Path, documents: Documents) -> None:
    attempt = begin(Folder(out), documents)
    Charts(out, attempt.plan, lambda line: None).catch_up(is_over=True)
    History(out)


def log_it(out: Path, documents: Documents) -> None:
    Logbook(Folder(out), Server(), "dice").advance(is_over=True, now=0.0)


def ask_for_tracking(out: Path, documents: Documents) -> None:
    command.track(out, None, None, lambda line: None)


def look(out: Path, documents: Documents) -> None:
    watch(follow(out, lambda seconds: pytest.fail("nobody works on it")), Lines(lambda line: None), lambda: NOW)


def look_while_it_goes(out: Path, documents: Documents) -> None:
    result = out / RESULT
    result.write_bytes(result.read_bytes().replace(b'"Completed"', b'"Running"').replace(b'Done": 3', b'Done": 2'))
    track, view = Track(), Lines(lambda line: None)
    with locked(Folder(out)):
        progress = read(out)
    assert progress is not None
    track.take(progress, NOW)
    view.show(progress, track, NOW)


def tell(out: Path, documents: Documents) -> None:
    found = describe(out, NOW)
    json.dumps(found.document())
    list(found.text(NOW))


READERS: dict[str, Callable[[Path, Documents], object]] = {
    "run again": resume,
    "watch": look,
    "watch while it goes": look_while_it_goes,
    "report": lambda out, _: write_report(out),
    "describe": tell,
    "logs": lambda out, _: list(lines(out, None, None, follow=False, pause=pytest.fail)),
    "track": log_it,
    "track what the job names": ask_for_tracking,
}


@pytest.fixture
def whole(tmp_path: Path, documents: Documents) -> Path:
    """The folder of a run that has completed, with everything that a run can leave in it."""
    folder = Folder(tmp_path / "whole")
    folder.make()
    out = folder.out
    attempt = begin(folder, documents)
    write_rounds(out, 1, 3, evaluated=True)
    sites = tuple(SiteResult(name=site, state="Finished", rounds=3, nbytes_up=3000) for site in SITES)
    said = {"name": "glioma", "network": Network(name="UNet"), "sites": sites, "rounds_planned": 3, "rounds_done": 3}
    result = Result.model_validate({"state": "Completed", "started_at": NOW, "finished_at": NOW, **said})
    write_record(out / RESULT, result.model_copy(update={"plan_digest": attempt.plan.digest().hex()}))
    write_record(out / BASELINES, baselines(SITES))
    (folder.run / SETTINGS).write_text('{"mlflow": {"uri": "https://mlflow.example.org"}}')
    (out / "logs" / "aggregator.log").write_text("2026-03-01T12:00:00Z INFO serving\n")
    (out / "examples").mkdir()
    slices = {f"{name}_0": np.eye(8, dtype=np.uint8) for name in ("image", "truth", "prediction")}
    np.savez(out / "examples" / "north.npz", labels=np.array(["case 1"]), **slices)
    Charts(out, attempt.plan, lambda line: None).catch_up(is_over=True)
    assert all((out / name).is_file() for name in FILES)
    return out


def read_by(reader: str, out: Path, documents: Documents) -> str:
    """Let somebody read the folder; give what was wrong with it, of the errors that the program ends with."""
    try:
        READERS[reader](out, documents)
    except (InputError, OSError, RefusedError) as error:
        return str(error)
    return ""


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, each in inner for found in leaves(each, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], odd: Any) -> Any:
    if not path:
        return odd
    value[path[0]] = replaced(value[path[0]], path[1:], odd)
    return value


def with_an_odd_value(data: st.DataObject, documents: list[bytes]) -> bytes:
    """Put a value that may not stand there into one of the JSON documents."""
    index = data.draw(st.integers(0, len(documents) - 1))
    document = json.loads(documents[index])
    odd = replaced(document, data.draw(st.sampled_from(leaves(document))), data.draw(st.sampled_from(ODD)))
    documents[index] = json.dumps(odd).encode()
    return b"".join(each + b"\n" for each in documents)


def damage(data: st.DataObject, path: Path) -> None:
    """Let a file be cut, overwritten, garbage, or JSON with an odd value in it."""
    content = path.read_bytes()
    kind = data.draw(st.sampled_from(["cut", "overwritten", "garbage", *["odd value"] * 5 * ("json" in path.name)]))
    if kind == "odd value":
        path.write_bytes(with_an_odd_value(data, content.splitlines() if path.suffix == ".jsonl" else [content]))
        return
    at = data.draw(st.integers(0, len(content)))
    noise = b"" if kind == "cut" else data.draw(st.binary(max_size=16))
    rest = content[at + len(noise) :] if kind == "overwritten" else b""
    path.write_bytes((b"" if kind == "garbage" else content[:at]) + noise + rest)


@pytest.mark.parametrize("reader", READERS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_damage_ends_in_anything_but_an_error_that_names_the_file(
    reader: str, whole: Path, documents: Documents, monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    monkeypatch.setattr(command, "is_installed", lambda: False)
    out = whole.with_name("out")
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(whole, out)
    undamaged = read_by(reader, out, documents)
    name = data.draw(st.sampled_from(FILES))
    damage(data, out / name)

    said = read_by(reader, out, documents)

    assert said == undamaged or str(out) in said


ADVICE = "the file is damaged, or no run's; restore it, or name another folder"


@pytest.mark.parametrize(
    ("reader", "name", "content", "said"),
    [
        ("run again", "run/attempt.json", b"", ": Invalid JSON: EOF while parsing a value at line 1 column 0: "),
        ("run again", "run/attempt.json", b"[1]", ": Input should be an object: "),
        ("run again", "run/attempt.json", b"{}", ": attempt: Field required: "),
        ("run again", "run/attempt.json", b'{"attempt": 0}', ": attempt: Input should be greater than "),
        ("run again", "run/plan.json", b"\xff", ": Invalid JSON: "),
        (
            "run again",
            "metrics.jsonl",
            b'\n{"round": -1, "site": "north"}\n',
            ":2: round: Input should be ",
        ),
        (
            "run again",
            "rounds.jsonl",
            b'{"round": 10001}\n',
            ":1: round: Input should be less than ",
        ),
        ("track", "rounds.jsonl", b'\n{"round": 1e9}\n', ":2: round: Input should be less than or equal to 10000: "),
        ("track what the job names", f"run/{SETTINGS}", b"{}", ": mlflow: Field required: "),
        ("watch", "result.json", b'{"startedAt": "0001-01-01T00:00:00Z"}', ": "),
        ("watch", "metrics.jsonl", b'{"round": 1, "site": "../north"}\n', ":1: site: String should match pattern "),
    ],
)
def test_the_error_says_which_line_of_which_file_what_is_wrong_and_what_to_do(
    reader: str, name: str, content: bytes, said: str, whole: Path, documents: Documents
) -> None:
    (whole / name).write_bytes(content)

    error = read_by(reader, whole, documents)

    assert error.startswith(f"{whole / name}{said}")
    assert error.endswith(ADVICE)
