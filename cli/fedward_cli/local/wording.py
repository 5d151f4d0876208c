"""Numbers as people read them: bytes, durations, and the means that a round is judged by."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from fedward_cli.results import RoundRecord, mean_over_sites
from fedward_protocol.wire import federation_pb2 as pb


def show_bytes(nbytes: float) -> str:
    """Write a size with three digits: `1.18 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if nbytes < 1000 or unit == "GB":
            return f"{nbytes:.0f} B" if unit == "B" else f"{nbytes:.3g} {unit}"
        nbytes /= 1000
    raise AssertionError


def show_seconds(seconds: float) -> str:
    """Write a duration: `0.4 s`, `45 s`, `3:20`, `2:05:09`."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def metric_of_model(records: Iterable[RoundRecord], model_round: int, metric: str) -> float | None:
    """Give the mean over sites of what they measured of one round's model; None where none did."""
    by_site = {record.site: record.metrics for record in records if record.evaluated_round == model_round}
    return mean_over_sites(by_site).get(metric)


def remaining_s(closed: Iterable[pb.RoundClosed], rounds: int) -> float | None:
    """Estimate the seconds to the last round's end from the rounds so far; None before the first has closed."""
    spans = [each.closed_at - each.opened_at for each in closed]
    return median(spans) * (rounds - len(spans)) if spans else None
