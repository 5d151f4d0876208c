"""What makes the program a plugin of kubectl's: its name there, and kubectl's own options wherever they are typed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_KUBECTLS = ("--context", "--kubeconfig")


def program_name(called: str) -> str:
    """Say how the program was called: kubectl finds `kubectl-fedward` on the PATH and calls it `kubectl fedward`."""
    return "kubectl fedward" if Path(called).name.startswith("kubectl-") else "fedward"


def hoisted(words: Sequence[str]) -> list[str]:
    """Move kubectl's options before the command, where this program reads them, each as two words.

    `watch brain --context=hub` becomes `--context hub watch brain`; what stands behind `--` stays as it is.
    """
    front: list[str] = []
    rest: list[str] = []
    given = iter(words)
    for word in given:
        name, has_value, value = word.partition("=")
        if word == "--":
            rest += [word, *given]
        elif name in _KUBECTLS and has_value:
            front += [name, value]
        elif name in _KUBECTLS:
            # A value that is missing is an empty one: the command must not be taken for it.
            front += [name, next(given, "")]
        else:
            rest.append(word)
    return front + rest
