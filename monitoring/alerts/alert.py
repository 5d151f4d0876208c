"""An alert, and the rule file that Prometheus reads it from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from monitoring.counting import counted

RUNBOOK = "docs/alerts.md"
"""The page that has a heading for each alert, by its path in the project."""

Severity = Literal["warning", "critical"]

_DELAY_MINUTES = 2
"""A scrape and an evaluation, each once a minute, before anything can be seen."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that is wrong.

    Attributes:
        name: CamelCase, beginning with Fedward.
        expression: PromQL; each series that it returns is one thing that is wrong.
        hold_minutes: for how long it has to be wrong before anybody is told.
        severity: `critical` where patience loses a job or stops all of them, else `warning`.
        summary: one line; may name labels as Prometheus templates do.
        description: what that means and what to do first, in a sentence or two.
        window_minutes: for how long it is wrong before the expression says so, where that looks back.
    """

    name: str
    expression: str
    hold_minutes: int
    severity: Severity
    summary: str
    description: str
    window_minutes: int = 0

    @property
    def promise(self) -> str:
        """Say how long after the fact it fires at the latest, where Prometheus scrapes and evaluates each minute."""
        return f"{self.window_minutes + self.hold_minutes + _DELAY_MINUTES} minutes"

    def rule(self) -> dict[str, Any]:
        """Write it as Prometheus reads it."""
        rule: dict[str, Any] = {"alert": self.name, "expr": self.expression}
        if self.hold_minutes:
            rule["for"] = f"{self.hold_minutes}m"
        return rule | {
            "labels": {"severity": self.severity},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "promise": f"Fires within {self.promise}.",
                "runbook_url": f"{RUNBOOK}#{self.name.lower()}",
            },
        }


def newly(counter: str, labels: str) -> str:
    """Say in PromQL that a counter has risen by three or more within six hours: not minutes, as a round can last hours.

    `counter` is a selector of series, as `counted` takes it.
    """
    return f"sum by ({labels}) (\n  {counted(counter, '6h')}\n) >= 3"


def rule_file(group: str, alerts: Iterable[Alert]) -> str:
    """Write a rule file with one group."""
    document = {"groups": [{"name": group, "rules": [alert.rule() for alert in alerts]}]}
    text = yaml.dump(document, Dumper=_Readable, sort_keys=False, width=140)
    return f"# Made by `make dashboards` from monitoring/alerts.\n{text}"


class _Readable(yaml.SafeDumper):
    """Keeps the lines of an expression as they were written."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Readable.add_representer(str, _text)
