"""The run in plain words: what was trained, by whom, and what came of it."""

from __future__ import annotations

from fedward_cli.report.comparison import Comparison
from fedward_cli.report.troubles import explain
from fedward_cli.report.words import count, duration
from fedward_cli.results import Result

SEED_NOISE = 0.02
"""How much a mean Dice of the demo moves with the seed alone; less than this is no difference."""


def opening(result: Result) -> str:
    """Say who did what, and how far it went."""
    hospitals = count(len(result.sites), "hospital")
    network = f"one {result.network.name}" if result.network else "one model"
    done, planned = result.rounds_done, result.rounds_planned
    together = " together" if len(result.sites) > 1 else ""
    match result.state:
        case "Completed":
            took = f", in {duration(result.seconds)}" if result.seconds else ""
            return f"{hospitals} trained {network}{together} over {count(done, 'round')}{took}."
        case "Failed":
            return f"{hospitals} set out to train {network}{together}; it failed after {done} of {planned} rounds."
        case "Stopped":
            return f"{hospitals} train {network}{together}; it was stopped after {done} of {planned} rounds."
        case _:
            return f"{hospitals} are training {network}{together}; {done} of {planned} rounds are done."


def failure(result: Result) -> str | None:
    """Say why it failed; None where it did not."""
    if result.failure is None:
        return "no reason was recorded; the logs may know" if result.state == "Failed" else None
    where = f"at {result.failure.site}" if result.failure.site else ""
    when = f"in round {result.failure.round}" if result.failure.round is not None else ""
    place = " ".join(filter(None, (where, when)))
    why = explain(result.failure.reason, result.failure.detail)
    return f"{place}, {why}" if place else why


def outcome(result: Result, value: float | None, worst: tuple[str, float] | None) -> str | None:
    """Say how good the delivered model is; None where nobody measured a Dice."""
    if value is None:
        return None
    cases = sum(site.validation_cases for site in result.sites)
    patients = f" on {count(cases, 'held-out case')}" if cases else ""
    text = f"{'The' if result.state == 'Completed' else 'Its last'} model reaches a mean Dice of {value:.2f}{patients}"
    if worst and len(result.sites) > 1:
        text += f"; the hospital it serves worst, {worst[0]}, has {worst[1]:.2f}"
    return text + "."


def against(comparison: Comparison | None) -> str | None:
    """Set the federated mean against local and central, and call noise noise."""
    if comparison is None or comparison.mean.federated is None:
        return None
    mean, parts = comparison.mean, []
    assert mean.federated is not None
    if mean.local is not None:
        parts.append(f"{_step(mean.federated - mean.local)} hospitals training alone ({mean.local:.2f})")
    if mean.central:
        share = f"{mean.federated / mean.central:.0%} of"
        parts.append(f"{share} what pooling all patients in one place would reach ({mean.central:.2f})")
    return "That is " + " and ".join(parts) + "." if parts else None


def leaving(result: Result) -> str:
    """Say what left the hospitals."""
    if not result.nbytes_up:
        return "Nothing left a hospital."
    return "No scan left a hospital: only weight updates, counts and mean scores did."


def _step(difference: float) -> str:
    if abs(difference) < SEED_NOISE:
        return "no different, within the noise of a single seed, from"
    return f"{abs(difference):.2f} {'above' if difference > 0 else 'below'}"
