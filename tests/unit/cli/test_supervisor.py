"""Processes that crash, hang, ignore SIGTERM or start children of their own; and a supervisor that is itself killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedward_cli.local.commands import Command, environment, threads_of
from fedward_cli.local.processes import Backoff, Crash, Supervisor

PATIENCE_S = 30
AT_ONCE = Backoff(limit=3, first_s=0.0)


def script(folder: Path, text: str, name: str = "child") -> Command:
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    return Command(name, (sys.executable, "-I", "-S", str(path), str(folder)), folder / f"{name}.log", dict(os.environ))


def signs(folder: Path) -> Path:
    """Give a pipe by which a child says a line when it is so far."""
    path = folder / "signs"
    os.mkfifo(path)
    return path


async def said(pipe: Path) -> str:
    def read() -> str:
        with pipe.open() as file:
            return file.readline().strip()

    return await asyncio.wait_for(asyncio.to_thread(read), PATIENCE_S)


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; a zombie that nobody has reaped does not."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - another process's death rings no bell here
            await asyncio.sleep(0.01)


def supervisor(crashes: list[Crash], backoff: Backoff = AT_ONCE, grace_s: float = PATIENCE_S) -> Supervisor:
    return Supervisor(backoff, lambda: 0.5, crashes.append, stop_grace_s=grace_s)


async def test_a_process_that_ends_well_is_left_alone(tmp_path: Path) -> None:
    crashes: list[Crash] = []
    with supervisor(crashes) as kept:
        code = await kept.keep(script(tmp_path, "print('hello')"))

    assert (code, crashes) == (0, [])
    assert (tmp_path / "child.log").read_text() == "hello\n"


async def test_a_crash_is_followed_by_another_start_until_it_works(tmp_path: Path) -> None:
    crashes: list[Crash] = []
    counts = """
import pathlib, sys
path = pathlib.Path(sys.argv[1]) / "count"
count = int(path.read_text()) + 1 if path.exists() else 1
path.write_text(str(count))
sys.exit(0 if count == 3 else 7)
"""
    with supervisor(crashes) as kept:
        code = await kept.keep(script(tmp_path, counts))

    assert code == 0
    assert [(crash.code, crash.failures, crash.restarts) for crash in crashes] == [(7, 1, True), (7, 2, True)]


async def test_too_many_crashes_are_given_up_with_the_last_code(tmp_path: Path) -> None:
    crashes: list[Crash] = []
    with supervisor(crashes, Backoff(limit=2, first_s=0.0)) as kept:
        code = await kept.keep(script(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"))

    assert code == -signal.SIGKILL
    assert [crash.restarts for crash in crashes] == [True, True, False]


async def test_a_final_exit_code_is_no_crash(tmp_path: Path) -> None:
    crashes: list[Crash] = []
    with supervisor(crashes) as kept:
        assert await kept.keep(script(tmp_path, "raise SystemExit(4)"), final=(0, 4)) == 4

    assert crashes == []


async def test_cancelling_lets_a_process_end_in_order(tmp_path: Path) -> None:
    pipe = signs(tmp_path)
    polite = """
import pathlib, signal, sys, threading
folder, asked = pathlib.Path(sys.argv[1]), threading.Event()
signal.signal(signal.SIGTERM, lambda *_: asked.set())
(folder / "signs").write_text("ready\\n")
asked.wait()
(folder / "ended").write_text("in order")
"""
    with supervisor([]) as kept:
        task = asyncio.create_task(kept.keep(script(tmp_path, polite)))
        await said(pipe)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, PATIENCE_S)

    assert (tmp_path / "ended").read_text() == "in order"


STUBBORN = """
import os, pathlib, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
worker = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"])
(pathlib.Path(sys.argv[1]) / "signs").write_text(f"{os.getpid()} {worker.pid}\\n")
while True:
    signal.pause()
"""


async def test_a_process_that_ignores_sigterm_is_killed_with_its_children(tmp_path: Path) -> None:
    pipe = signs(tmp_path)
    with supervisor([], grace_s=0.2) as kept:
        task = asyncio.create_task(kept.keep(script(tmp_path, STUBBORN)))
        pids = [int(pid) for pid in (await said(pipe)).split()]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, PATIENCE_S)

    await until(lambda: not any(map(is_alive, pids)))


async def test_killing_ends_even_a_stop_that_would_be_patient(tmp_path: Path) -> None:
    pipe = signs(tmp_path)
    with supervisor([]) as kept:
        task = asyncio.create_task(kept.keep(script(tmp_path, STUBBORN)))
        pids = [int(pid) for pid in (await said(pipe)).split()]
        task.cancel()
        await asyncio.sleep(0)
        kept.kill()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, PATIENCE_S)

    await until(lambda: not any(map(is_alive, pids)))


async def test_children_of_a_process_that_crashed_do_not_outlive_it(tmp_path: Path) -> None:
    leaves = """
import pathlib, subprocess, sys
worker = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"])
(pathlib.Path(sys.argv[1]) / "worker").write_text(str(worker.pid))
sys.exit(9)
"""
    with supervisor([], Backoff(limit=0)) as kept:
        await kept.keep(script(tmp_path, leaves))

    worker = int((tmp_path / "worker").read_text())
    await until(lambda: not is_alive(worker))


async def test_nothing_is_left_when_the_supervising_process_is_killed(tmp_path: Path) -> None:
    pipe = signs(tmp_path)
    child = script(tmp_path, STUBBORN)
    supervising = f"""
import asyncio, pathlib
from fedward_cli.local.commands import Command
from fedward_cli.local.processes import Backoff, Supervisor
with Supervisor(Backoff(3), lambda: 0.5, print) as kept:
    asyncio.run(kept.keep(Command("child", {child.argv!r}, pathlib.Path({str(child.log)!r}), {{}})))
"""
    parent = subprocess.Popen([sys.executable, "-c", supervising])  # noqa: ASYNC220 - it starts at once
    pids = [int(pid) for pid in (await said(pipe)).split()]
    assert all(map(is_alive, pids))

    parent.kill()
    parent.wait()

    await until(lambda: not any(map(is_alive, pids)))


@given(st.integers(1, 1000), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_never_longer_than_the_cap_nor_shorter_than_half_the_first(failures: int, draw: float) -> None:
    backoff = Backoff(limit=1000)

    assert backoff.first_s / 2 <= backoff.delay_s(failures, draw) <= backoff.cap_s
    assert backoff.delay_s(failures, draw) <= backoff.delay_s(failures + 1, draw)


@pytest.mark.parametrize(("trainers", "cores", "threads"), [(4, 2, 1), (2, 16, 8), (3, 16, 5), (1, 1, 1)])
def test_trainers_share_the_cores(trainers: int, cores: int, threads: int) -> None:
    assert threads_of(trainers, cores) == threads


def test_a_proxy_is_kept_from_connections_within_the_machine() -> None:
    surroundings = environment({"no_proxy": "example.org", "https_proxy": "http://proxy:8080"}, 2)

    assert surroundings["no_proxy"] == "example.org,127.0.0.1"
    assert surroundings["no_grpc_proxy"] == "127.0.0.1"
    assert surroundings["OMP_NUM_THREADS"] == "2"


@pytest.mark.parametrize(("inherited", "form"), [({}, "text"), ({"FEDWARD_LOG_FORMAT": "json"}, "json")])
def test_a_local_run_logs_for_people_unless_told_otherwise(inherited: dict[str, str], form: str) -> None:
    assert environment(inherited, 1)["FEDWARD_LOG_FORMAT"] == form
