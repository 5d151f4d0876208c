"""The ledger: charged once, durable, shared by processes, and shut at the budget."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedward_node.gateway.accounting import Cost, gaussian, guarantee
from fedward_node.gateway.ledger import Ledger, ReleaseKey
from fedward_protocol.reasons import Reason, RefusedError


@dataclass(frozen=True)
class Budget:
    epsilon: float | None
    delta: float = 1e-5


def key(number: int = 1, job: str = "job-00000001", released: bytes = b"out") -> ReleaseKey:
    return ReleaseKey(job=job, attempt=1, round=number, raw=b"raw", released=released)


ONE = Cost(pure=1.0)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.db")


def test_a_dataset_that_released_nothing_has_spent_nothing(ledger: Ledger) -> None:
    spent = ledger.spent("brats", 1e-5)
    assert (spent.epsilon, spent.delta, spent.releases) == (0.0, 0.0, 0)


def test_the_same_release_is_charged_once_however_often_it_is_asked_for(ledger: Ledger) -> None:
    assert [ledger.charge("brats", key(), ONE, Budget(1.5)).epsilon for _ in range(3)] == [1.0, 1.0, 1.0]


def test_another_draw_of_noise_for_the_same_update_is_charged_again(ledger: Ledger) -> None:
    ledger.charge("brats", key(released=b"first"), ONE, None)
    assert ledger.charge("brats", key(released=b"second"), ONE, None).epsilon == 2.0


def test_the_budget_is_reached_exactly_and_not_passed(ledger: Ledger) -> None:
    for number in (1, 2, 3):
        ledger.charge("brats", key(number), ONE, Budget(3.0))
    with pytest.raises(RefusedError) as refused:
        ledger.charge("brats", key(4), ONE, Budget(3.0))
    assert refused.value.reason is Reason.BUDGET_SPENT
    assert ledger.spent("brats", 1e-5).epsilon == 3.0
    # What was charged may be sent again, after the budget is spent too.
    assert ledger.charge("brats", key(3), ONE, Budget(3.0)).epsilon == 3.0


def test_jobs_share_a_dataset_and_datasets_share_nothing(ledger: Ledger) -> None:
    ledger.charge("brats", key(job="job-00000001"), ONE, None)
    ledger.charge("brats", key(job="job-00000002"), ONE, None)
    ledger.charge("prostate", key(job="job-00000001"), ONE, None)
    assert ledger.spent("brats", 1e-5).epsilon == 2.0
    assert ledger.spent("prostate", 1e-5).epsilon == 1.0


def test_an_update_without_a_guarantee_is_refused_where_there_is_a_budget(ledger: Ledger) -> None:
    with pytest.raises(RefusedError) as refused:
        ledger.charge("brats", key(), None, Budget(1e9))
    assert refused.value.reason is Reason.BUDGET_SPENT
    assert ledger.spent("brats", 1e-5).releases == 0


def test_an_update_without_a_guarantee_leaves_the_dataset_without_one(ledger: Ledger) -> None:
    ledger.charge("brats", key(1), None, None)
    spent = ledger.charge("brats", key(2), ONE, Budget(None))
    assert (spent.epsilon, spent.releases, spent.unguaranteed) == (None, 2, 1)
    with pytest.raises(RefusedError):
        ledger.charge("brats", key(3), ONE, Budget(1e9))


def test_gaussian_releases_compose_to_less_than_their_sum(ledger: Ledger) -> None:
    for number in range(16):
        spent = ledger.charge("brats", key(number), gaussian(40.0), Budget(10.0))
    assert spent.epsilon == pytest.approx(guarantee(gaussian(10.0), 1e-5).epsilon)
    assert spent.epsilon < 16 * guarantee(gaussian(40.0), 1e-5).epsilon


def test_it_survives_a_restart(tmp_path: Path) -> None:
    Ledger(tmp_path / "ledger.db").charge("brats", key(), ONE, None)
    assert Ledger(tmp_path / "ledger.db").spent("brats", 1e-5).epsilon == 1.0


def test_threads_that_race_for_the_last_of_the_budget_do_not_overspend_it(ledger: Ledger) -> None:
    def attempt(number: int) -> bool:
        try:
            ledger.charge("brats", key(number), ONE, Budget(5.0))
        except RefusedError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(16))) == 5
    assert ledger.spent("brats", 1e-5).epsilon == 5.0


_CHARGE = """
import sys
from pathlib import Path
from types import SimpleNamespace
from fedward_node.gateway.accounting import Cost
from fedward_node.gateway.ledger import Ledger, ReleaseKey
from fedward_protocol.reasons import RefusedError
ledger, who, budget = Ledger(Path(sys.argv[1])), sys.argv[2], SimpleNamespace(epsilon=float(sys.argv[3]), delta=1e-5)
for number in range(int(sys.argv[4])):
    try:
        ledger.charge("brats", ReleaseKey(who, 1, number, b"raw", b"out"), Cost(pure=1.0), budget)
        print(number, flush=True)
    except RefusedError as refused:
        assert refused.reason == "BudgetSpent", refused
"""


@pytest.mark.process
def test_processes_share_one_budget(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    commands = [[sys.executable, "-c", _CHARGE, path, who, "12", "10"] for who in ("first", "second")]
    processes = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for command in commands]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert Ledger(path).spent("brats", 1e-5).epsilon == 12.0


@pytest.mark.process
@pytest.mark.parametrize("acknowledged", [1, 2, 5, 13])
def test_a_kill_at_any_time_loses_no_charge_that_was_acknowledged(tmp_path: Path, acknowledged: int) -> None:
    path = tmp_path / "ledger.db"
    command = [sys.executable, "-c", _CHARGE, path, "first", "1e6", "100000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(acknowledged):
            process.stdout.readline()
        process.kill()
        said = acknowledged + len(process.stdout.read().split("\n")) - 1
    assert said <= Ledger(path).spent("brats", 1e-5).releases <= said + 1


_FILL = """
import resource, sys
from pathlib import Path
from fedward_node.gateway.accounting import Cost
from fedward_node.gateway.ledger import Ledger, ReleaseKey
from fedward_protocol.reasons import RefusedError
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
ledger = Ledger(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (16384, resource.RLIM_INFINITY))
try:
    for number in range(10000):
        ledger.charge("brats", ReleaseKey("job", 1, number, bytes(32), bytes(32)), Cost(pure=1.0), None)
except RefusedError as refused:
    print(number, refused.reason)
"""


@pytest.mark.process
def test_a_full_disk_refuses_the_charge_and_keeps_those_before(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    done = subprocess.run([sys.executable, "-c", _FILL, path], capture_output=True, text=True, timeout=60, check=True)
    number, reason = done.stdout.split()
    assert reason in {Reason.STORAGE_FULL, Reason.FILTER_FAILED}
    assert Ledger(path).spent("brats", 1e-5).releases == int(number) > 0


def test_a_crash_at_any_step_leaves_the_charge_either_made_or_not(tmp_path: Path) -> None:
    """Copy the files as they stand at every step of SQLite's virtual machine during a charge, and open each copy."""
    path = tmp_path / "ledger.db"
    ledger = Ledger(path)
    ledger.charge("brats", key(1), ONE, None)
    outcomes = [_after_crash(tmp_path, path, step) for step in range(1, 200)]
    assert set(outcomes) == {1.0, 2.0}
    assert outcomes == sorted(outcomes), "once made, a charge is never lost again"


def _after_crash(folder: Path, path: Path, steps: int) -> float | None:
    """ε as found in a copy of the files taken after `steps` steps of a second charge."""
    copy = folder / f"crash-{steps}"
    copy.mkdir()
    remaining = steps

    def step() -> int:
        nonlocal remaining
        remaining -= 1
        if remaining == 0:
            snapshot()
        return 0

    def snapshot() -> None:
        for name in folder.glob("try.db*"):
            shutil.copy(name, copy / name.name)

    shutil.copy(path, folder / "try.db")
    connect = sqlite3.connect

    class Stepping(sqlite3.Connection):
        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, **options)  # type: ignore[arg-type]
            self.set_progress_handler(step, 1)

    sqlite3.connect = lambda *args, **options: connect(*args, factory=Stepping, **options)  # type: ignore[assignment]
    try:
        Ledger(folder / "try.db").charge("brats", key(2), ONE, None)
    finally:
        sqlite3.connect = connect
    if remaining > 0:
        snapshot()
    return Ledger(copy / "try.db").spent("brats", 1e-5).epsilon


@pytest.mark.parametrize("content", [b"not a database, but long enough to be looked at" * 40, None])
def test_a_file_that_is_no_ledger_lets_nothing_out(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ledger.db"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(RefusedError) as refused:
        Ledger(path)
    assert refused.value.reason is Reason.FILTER_FAILED


def test_a_ledger_of_a_later_version_is_not_touched(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        connection.execute("PRAGMA user_version = 7")
    with pytest.raises(RefusedError, match="version 7"):
        Ledger(tmp_path / "ledger.db")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(costs=st.lists(st.floats(0.01, 3.0), min_size=1, max_size=8), limit=st.floats(0.1, 8.0))
def test_whatever_is_charged_the_spent_epsilon_stays_within_the_budget(
    tmp_path: Path, costs: list[float], limit: float
) -> None:
    path = tmp_path / "ledger.db"
    path.unlink(missing_ok=True)
    ledger = Ledger(path)
    for number, cost in enumerate(costs):
        try:
            spent = ledger.charge("brats", key(number), Cost(pure=cost), Budget(limit)).epsilon
        except RefusedError:
            continue
        assert spent is not None
        assert spent <= limit
