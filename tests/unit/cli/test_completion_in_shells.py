"""What `fedward completion` prints, taken by the shells themselves, and by kubectl."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Complete = Callable[[str], str]
needs_zsh = pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh: apt-get install zsh")
needs_fish = pytest.mark.skipif(shutil.which("fish") is None, reason="no fish: apt-get install fish")
needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl on the PATH")
BY_SOURCING = "autoload -Uz compinit; compinit -u -D; source <(fedward completion zsh)"
BY_A_FILE = (
    "mkdir functions; fedward completion zsh > functions/_fedward; fpath=($PWD/functions $fpath); "
    "autoload -Uz compinit; compinit -u -D"
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run and a job's file, a cluster with two jobs, and the program on the PATH."""
    folder, programs = tmp_path / "here", tmp_path / "programs"
    (folder / "runs" / "brain").mkdir(parents=True)
    (folder / "runs" / "brain" / "result.json").touch()
    (folder / "job.yaml").touch()
    programs.mkdir()
    (programs / "kubectl").write_text("#!/bin/sh\nprintf 'federatedjob.fedward.io/%s\\n' brain breast\n")
    (programs / "kubectl").chmod(0o755)
    path = f"{programs}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for name, value in {"PATH": path, "HOME": str(tmp_path), "TERM": "dumb", "PS1": "READY> "}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("ZDOTDIR", raising=False)
    monkeypatch.chdir(folder)
    return folder


class Zsh:
    """An interactive zsh on a terminal of its own."""

    def __init__(self) -> None:
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.execvp("zsh", ["zsh", "-f", "-i"])

    def until(self, mark: bytes) -> None:
        """Read what it shows up to `mark`."""
        shown = b""
        while mark not in shown:
            assert select.select([self._terminal], [], [], 30)[0], shown
            shown += os.read(self._terminal, 4096)

    def type(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def close(self) -> None:
        os.close(self._terminal)
        os.waitpid(self.pid, 0)


@pytest.fixture(params=[BY_SOURCING, BY_A_FILE], ids=["sourced", "in fpath"])
def zsh(request: pytest.FixtureRequest, place: Path) -> Iterator[Complete]:
    """Give what types a line and Tab, and returns the line that zsh made of it."""
    shell = Zsh()
    shell.until(b"READY> ")
    line = place.parent / "line"
    shell.type(f"{request.param}; show() {{ print -rn -- $BUFFER > {line}; zle -M DO''NE }}; zle -N show\n")
    shell.until(b"READY> ")
    shell.type("bindkey '^X^X' show; PS1=SET''UP\n")
    shell.until(b"SETUP")

    def complete(words: str) -> str:
        shell.type(f"{words}\t\x18\x18")
        shell.until(b"DONE")
        return line.read_text()

    yield complete
    shell.close()


@needs_zsh
@pytest.mark.parametrize(
    ("typed", "becomes"),
    [
        ("fedward descr", "fedward describe "),
        ("fedward describe -n research bra", "fedward describe -n research brain "),
        ("fedward describe br", "fedward describe br"),
        ("fedward plan -o j", "fedward plan -o json "),
        ("fedward run j", "fedward run job.yaml "),
        ("fedward report ru", "fedward report runs/brain "),
    ],
)
def test_zsh_completes(typed: str, becomes: str, zsh: Complete) -> None:
    assert zsh(typed) == becomes


@needs_fish
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("fedward descr", ["describe"]),
        ("fedward describe -n research bra", ["brain"]),
        ("fedward watch ", ["brain", "breast", "runs/brain"]),
        ("fedward plan -o j", ["json"]),
        ("fedward run j", ["job.yaml"]),
        ("fedward report ru", ["runs/brain"]),
    ],
)
def test_fish_offers(typed: str, offered: list[str], place: Path) -> None:
    script = f"fedward completion fish | source; complete -C '{typed}'"
    done = subprocess.run(["fish", "--private", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.splitlines(), done.stderr) == (offered, "")


@needs_kubectl
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("descr",), ["describe"]),
        (("watch", ""), ["brain", "breast", "runs/brain"]),
        (("logs", "brain", "--si"), ["--since", "--site"]),
        (("describe", "--context=hub", "bra"), ["brain"]),
    ],
)
def test_kubectl_offers_what_its_plugin_offers_and_files(
    words: tuple[str, ...], offered: list[str], place: Path
) -> None:
    real = shutil.which("kubectl", path=os.environ["PATH"].split(os.pathsep, 1)[1])
    assert real is not None
    command = [real, "__complete", "fedward", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines() == [*offered, ":0"]
