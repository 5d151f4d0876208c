"""How long a site's part in a round took, stage by stage."""

from __future__ import annotations

import math

from fedward_server.events import UpdateArrived

SITE_STAGES = ("fetch", "evaluate", "train", "filter", "submit")


def stages_of(update: UpdateArrived) -> dict[str, float]:
    """Give the seconds of each stage that the site went through.

    Most are the site's own word: what cannot be a duration is left out, as one NaN would spoil a sum for good.
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
    return {stage: seconds for stage, seconds in took if math.isfinite(seconds) and seconds > 0}
