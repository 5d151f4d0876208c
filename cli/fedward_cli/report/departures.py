"""What left each hospital, and what its privacy figures mean in words that promise nothing they do not hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fedward_cli.report.words import NOTHING, epsilon, size
from fedward_cli.results import Release, Result, RoundRecord, SiteResult

_FILTERS = {
    "normClip": "the update's size limited",
    "percentile": "only the largest part of the update",
    "svt": "sparse-vector technique",
    "gaussianNoise": "limited and noised",
    "exclude": "named tensors kept back",
}


@dataclass(frozen=True, slots=True)
class Departure:
    """One site's row."""

    name: str
    updates: int
    sent: str
    share: str
    """Of what its trainer produced, so that filters and encodings show."""
    filters: tuple[str, ...]
    epsilon: str
    verdict: str
    is_private: bool


def departures(result: Result, records: Sequence[RoundRecord]) -> tuple[Departure, ...]:
    """Say what left each site."""
    by_site: dict[str, list[RoundRecord]] = {}
    for record in records:
        by_site.setdefault(record.site, []).append(record)
    return tuple(_departure(site, by_site.get(site.name, [])) for site in result.sites)


def _departure(site: SiteResult, records: Sequence[RoundRecord]) -> Departure:
    releases = [record.release for record in records if record.release is not None and record.samples]
    produced = sum(release.nbytes_in for release in releases)
    sent = sum(record.nbytes_up for record in records if record.samples)
    filters = tuple(dict.fromkeys(name for release in releases for name in release.filters))
    is_private, verdict = _verdict(site, filters, releases)
    return Departure(
        site.name,
        len(releases) or site.rounds,
        size(site.nbytes_up),
        f"{sent / produced:.0%}" if produced else NOTHING,
        tuple(f"{name}: {_FILTERS[name]}" if name in _FILTERS else name for name in filters),
        epsilon(site.spent_epsilon) if site.spent_epsilon else "none",
        verdict,
        is_private,
    )


def _verdict(site: SiteResult, filters: Sequence[str], releases: Sequence[Release]) -> tuple[bool, str]:
    if not site.spent_epsilon:
        if not releases and not site.nbytes_up:
            return False, "Nothing left this site."
        if filters:
            return False, "Changed by its gateway before it left, with no formal privacy guarantee."
        return False, "The whole weight update left, with no formal privacy guarantee."
    if site.meaningful:
        return True, f"A formal bound on what the updates reveal (δ = {site.delta:g})."
    return False, "ε is far too large to protect anyone: read it as no formal guarantee."
