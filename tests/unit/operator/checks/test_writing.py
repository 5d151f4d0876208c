"""How findings are written for people."""

from __future__ import annotations

from datetime import timedelta

from fedward_operator.checks import lifetime
from fedward_operator.checks.finding import Finding, Level, Trouble, fine, skipped, warning, wrong
from fedward_operator.checks.writing import is_healthy, write


def test_problems_come_first_within_80_columns_and_with_what_to_do():
    findings = [
        fine("operator", "it is ready"),
        skipped("GPUs", "the policy lends none"),
        warning("datasets", "ProblemsFound", "brats: 3 of 120 cases cannot be read", "kubectl describe spol"),
        wrong(
            "clock", Trouble.CLOCK_SKEWED, "this clock is 300 s behind\nthe hub's, " + "and so on " * 8, "timedatectl"
        ),
    ]
    lines = list(write(findings))

    assert [line.split()[0] for line in lines if not line.startswith(" ")] == ["wrong", "warning", "skipped", "ok", "1"]
    assert all(len(line) <= 80 for line in lines)
    assert lines[0].startswith("wrong    clock: ClockSkewed: this clock is 300 s behind the hub's")
    assert "         next: timedatectl" in lines
    assert "         see:  docs/troubleshooting.md#clockskewed" in lines
    assert lines[-1] == "1 wrong, 1 warning, 1 skipped, 1 ok"
    assert not is_healthy(findings)
    assert is_healthy(findings[:3])


def test_a_command_is_never_broken():
    long = "kubectl describe " + "x" * 100
    assert f"         next: {long}" in list(write([Finding("it", Level.WRONG, "is wrong", "NotReady", long)]))


def test_a_length_of_time_is_said_in_a_unit_that_people_read():
    assert [lifetime.span(timedelta(seconds=s)) for s in (45, 130, 7300, 200_000)] == [
        "45 seconds",
        "2 minutes",
        "2 hours",
        "2 days",
    ]
