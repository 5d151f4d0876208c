"""How long a site's part in a round took, stage by stage."""

from __future__ import annotations

from fedward_server.events import UpdateArrived

SITE_STAGES = ("fetch", "evaluate", "train", "filter", "submit")


def stages_of(update: UpdateArrived, opened_at: float) -> dict[str, float]:
    """Give the seconds of each stage that the site went through in a round that was opened at `opened_at`.

    Most are the site's own word: what is no duration, or longer than the round was open when the update had arrived, is
    left out, as one such would spoil a sum for good.
    """
    report, release = update.report, update.release
    said = (
        report.fetch_seconds,
        report.evaluate_seconds,
        report.train_seconds,
        release.filter_seconds if release is not None else 0.0,
        update.submit_seconds,
    )
    took = zip(SITE_STAGES, said, strict=True)
    return {stage: seconds for stage, seconds in took if 0 < seconds <= update.at - opened_at}
