"""What the shell offers while a `fedward` command is typed: commands, options, and names that the cluster knows."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fedward_cli.cluster.kubectl import command as kubectl_command
from fedward_cli.cluster.kubectl import use, within
from fedward_cli.plugin import hoisted

Names = Callable[[str, str | None], Sequence[str]]
"""Lists names of a kind in a namespace."""

_PATIENCE_S = 3.0
"""A person waits for what a key press brings."""

_JOBS, _SITES = "federatedjobs.fedward.io", "federatedsites.fedward.io"
_KINDS: Mapping[tuple[str, str], str] = {
    ("watch", "job"): _JOBS,
    ("logs", "job"): _JOBS,
    ("describe", "job"): _JOBS,
    ("report", "job"): _JOBS,
    ("logs", "site"): _SITES,
    ("revoke site", "name"): _SITES,
    ("approve", "name"): "sitejobs.fedward.io",
    ("approve", "site"): _SITES,
}
"""What a parameter of a command names in the cluster."""

_WORDS: Mapping[str, Sequence[str]] = {
    "output": ("text", "json", "yaml"),
    "shell": ("bash", "zsh", "fish"),
    "role": ("hub", "site"),
    "approval": ("automatic", "manual"),
}
"""What a parameter may be, wherever it is one."""

_RUNS = "result.json"


def candidates(program: Any, words: Sequence[str], names: Names) -> list[str]:
    """Complete the last of the words behind `fedward`.

    Args:
        program: the program as a command of click's.
        words: what has been typed; the last one, perhaps empty, is being typed.
        names: looks into the cluster.
    """
    *before, begun = words or [""]
    at, path, values = _walk(program, hoisted(before))
    if at is None:
        return []
    waiting = (_option(at, before[-1]) or _option(program, before[-1])) if before else None
    if waiting is not None and not waiting.is_flag:
        found = _values(waiting, path, values, names)
    elif begun.startswith("-"):
        options = [each for each in at.params if each.param_type_name == "option" and not each.hidden]
        found = [*(name for each in options for name in each.opts if name.startswith("--")), "--help"]
    elif hasattr(at, "commands"):
        found = [name for name, each in at.commands.items() if not each.hidden]
    else:
        arguments = [each for each in at.params if each.param_type_name == "argument"]
        place = len(values["arguments"])
        found = _values(arguments[place], path, values, names) if place < len(arguments) else []
        if arguments and arguments[0].name == "job" and place == 0:
            found += list(_folders(begun))
    return sorted({each for each in found if each.startswith(begun)})


def names_in_cluster(kind: str, namespace: str | None) -> list[str]:
    """List names through kubectl; a cluster that does not answer at once offers none."""
    arguments = ["get", kind, "-o", "name", f"--request-timeout={_PATIENCE_S:.0f}s", *within(namespace)]
    try:
        done = subprocess.run(  # noqa: S603
            kubectl_command(arguments), capture_output=True, text=True, check=False, timeout=_PATIENCE_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.rpartition("/")[2] for line in done.stdout.splitlines()]


def complete(program: Any, words: Sequence[str]) -> list[str]:
    """Complete the last word, asking the cluster that the words before it name."""
    *before, _ = words or [""]
    _, _, values = _walk(program, hoisted(before))
    use(values.get("kube_context"), values.get("kubeconfig"))
    return candidates(program, words, names_in_cluster)


def _walk(program: Any, words: Sequence[str]) -> tuple[Any, str, dict[str, Any]]:
    """Go down to the command that is typed; give it (None: there is no such one), its path, and what it was given."""
    at, path = program, ""
    values: dict[str, Any] = {"arguments": [], "namespace": None}
    rest = iter(words)
    for word in rest:
        if word.startswith("-"):
            name, has_value, value = word.partition("=")
            option = _option(at, name)
            if option is not None and not option.is_flag:
                value = value if has_value else next(rest, "")
                values[option.name or ""] = value
        elif hasattr(at, "commands"):
            if word not in at.commands:
                return None, path, values
            at, path = at.commands[word], f"{path} {word}".strip()
        else:
            values["arguments"].append(word)
    return at, path, values


def _option(at: Any, word: str) -> Any:
    known = [each for each in at.params if each.param_type_name == "option" and word in each.opts]
    return known[0] if known else None


def _values(parameter: Any, path: str, values: Mapping[str, Any], names: Names) -> list[str]:
    if parameter.name in _WORDS:
        return list(_WORDS[parameter.name])
    kind = _KINDS.get((path, parameter.name or ""))
    namespace = None if kind == _SITES else values["namespace"]
    return list(names(kind, namespace)) if kind else []


def _folders(begun: str) -> Iterator[str]:
    """List folders of local runs, here and in runs/."""
    for pattern in (f"{begun}*/{_RUNS}", f"{begun}*/*/{_RUNS}"):
        try:
            yield from (str(each.parent) for each in Path().glob(pattern))
        except (ValueError, NotImplementedError, OSError):
            return
