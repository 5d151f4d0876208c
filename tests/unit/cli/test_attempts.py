"""A second run in the same folder: the next attempt of the same plan, or an error that says what differs."""

from __future__ import annotations

import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from fedward_cli.documents import Documents, load_documents
from fedward_cli.local.attempt import begin
from fedward_cli.local.credentials import issue
from fedward_cli.local.folder import Folder, locked
from fedward_cli.local.orders import write_orders
from fedward_cli.local.ports import Ports
from fedward_cli.problems import InputError
from fedward_protocol.identity import gateway_name
from fedward_protocol.pki import Credentials
from fedward_protocol.work_order import verify

Write = Callable[[str], Path]
NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path / "out")
    made.make()
    return made


def test_the_same_file_again_is_the_next_attempt_of_the_same_job(folder: Folder, documents: Documents) -> None:
    first, second = begin(folder, documents), begin(folder, documents)

    assert (first.number, second.number) == (1, 2)
    assert first.plan == second.plan


def test_two_folders_are_two_jobs(tmp_path: Path, documents: Documents) -> None:
    folders = [Folder(tmp_path / name) for name in ("a", "b")]
    for each in folders:
        each.make()

    assert len({begin(each, documents).plan.job.uid for each in folders}) == 2


def test_another_plan_is_refused_and_the_difference_named(
    folder: Folder, documents: Documents, good: str, write: Write
) -> None:
    begin(folder, documents)
    other = load_documents(write(good), ["rounds.count=5", "training.loss=DiceCE"])

    with pytest.raises(InputError) as error:
        begin(folder, other)

    assert [problem.message for problem in error.value.problems] == [
        "holds a run of another plan; choose another --out, or change back",
        "rounds.count: 3 there, 5 now",
        'training.loss: "DiceFocal" there, "DiceCE" now',
    ]
    assert begin(folder, documents).number == 2


def test_a_crash_before_the_number_was_written_costs_no_attempt(folder: Folder, documents: Documents) -> None:
    begin(folder, documents)
    folder.attempt.unlink()

    assert begin(folder, documents).number == 1


def test_a_folder_in_use_is_refused_and_free_again_afterwards(folder: Folder) -> None:
    with locked(folder), pytest.raises(InputError, match="another `fedward run` is using it"), locked(folder):
        pass
    with locked(folder):
        pass


def test_what_is_private_is_for_the_owner_alone(folder: Folder, documents: Documents) -> None:
    attempt = begin(folder, documents)
    issue(folder, attempt.plan, NOW)
    write_orders(folder, documents, attempt, "127.0.0.1:1", NOW)

    assert stat.S_IMODE(folder.run.stat().st_mode) == 0o700
    keys = [*folder.run.rglob("tls.key"), *folder.run.glob("orders/*")]
    assert len(keys) == 5
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}


def test_each_start_brings_an_authority_of_its_own(folder: Folder, documents: Documents) -> None:
    attempt = begin(folder, documents)

    one, other = issue(folder, attempt.plan, NOW), issue(folder, attempt.plan, NOW)

    assert one.ca_pem != other.ca_pem
    assert Credentials.read(folder.tls("north")).ca_pem == other.ca_pem
    assert gateway_name("north", attempt.plan.federation).endswith(".localhost")


def test_an_order_admits_the_plan_under_the_hospitals_floor_budget_and_exports(
    folder: Folder, documents: Documents
) -> None:
    attempt = begin(folder, documents)
    write_orders(folder, documents, attempt, "127.0.0.1:4711", NOW)
    key = load_pem_public_key(folder.operator_key.read_bytes())

    north, south = (
        verify(folder.work_order(site).read_bytes(), key, NOW, site)  # type: ignore[arg-type]
        for site in ("north", "south")
    )

    assert (north.floor, north.budget) == ((), None)
    assert [each.name for each in south.floor] == ["normClip"]
    assert south.budget is not None
    assert (south.budget.epsilon, south.budget.delta) == (8, 1e-6)
    assert (north.exports, south.exports) == ((), ("casesPerSecond",))
    assert south.plan_digest == attempt.plan.digest().hex()
    assert south.aggregator == "127.0.0.1:4711"


def test_reserved_ports_differ_and_are_free_again_afterwards() -> None:
    with Ports() as ports:
        addresses = [ports.reserve() for _ in range(20)]

    assert len(set(addresses)) == 20
