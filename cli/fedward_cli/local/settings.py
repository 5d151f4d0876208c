"""Settings in the environment that each process of a run takes, looked at before any is started."""

from __future__ import annotations

from collections.abc import Mapping

from fedward_cli.problems import InputError, Problem
from fedward_protocol import logs
from fedward_protocol.tracing import exporting


def check(environ: Mapping[str, str]) -> None:
    """Refuse what each process would end with, one after the other.

    Raises:
        InputError: a setting is none that there is.
    """
    found = [*logs.complaints(environ), exporting.complaint(environ)]
    if problems := [Problem("environment", (), each) for each in found if each]:
        raise InputError(problems)
