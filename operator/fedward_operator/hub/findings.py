"""What is wrong with a resource that is well-formed by itself: a field's path and a sentence."""

from __future__ import annotations

from dataclasses import dataclass

FieldPath = tuple[str | int, ...]
"""Keys and indices from a document's top to a field: `("spec", "sites", "names", 0)`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and where."""

    path: FieldPath
    message: str

    def __str__(self) -> str:
        return f"{show_path(self.path)}: {self.message}"


class UnresolvableError(ValueError):
    """A job that cannot become a plan.

    Attributes:
        findings: everything that is wrong, not only the first.
    """

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        self.findings = findings
        super().__init__("; ".join(str(finding) for finding in findings))


def show_path(path: FieldPath) -> str:
    """Write a path as people do: `spec.sites.names[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
