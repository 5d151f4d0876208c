"""Runs made up for the report's tests: a good one, a crowd, a failure."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fedward_cli.results import (
    METRICS,
    RESULT,
    BaselineRun,
    Baselines,
    Mean,
    Metrics,
    ModelRecord,
    Network,
    Release,
    Result,
    RoundRecord,
    Seconds,
    SiteResult,
    write_record,
)

STARTED = datetime(2026, 3, 14, 9, 26, tzinfo=UTC)
SITES = ("north", "south", "east", "west")
RELEASE = Release(filters=("percentile",), nbytes_in=1_000_000)


def metrics(dice: float, cases: int = 6) -> Metrics:
    values = {
        "dice": dice,
        "dice_wt": min(1.0, dice + 0.2),
        "dice_tc": dice,
        "dice_et": max(0.0, dice - 0.2),
        "hd95": 40 * (1 - dice),
    }
    found = {name: Mean(sum=value * cases, count=cases) for name, value in values.items()}
    return found | {"dice_et_present": Mean(sum=(dice - 0.1) * 2, count=2)}


def skill(site: int, number: int, sites: int) -> float:
    """What a site's Dice is after so many rounds: rising, and worse for later sites."""
    return (0.85 - 0.3 * site / sites) * (1 - math.exp(-number / 3)) + 0.01 * math.sin(number * 1.7 + site)


def records(sites: tuple[str, ...] = SITES, rounds: int = 6, release: Release = RELEASE) -> list[RoundRecord]:
    found = []
    for number in range(1, rounds + 2):
        for index, site in enumerate(sites):
            evaluated = number - 1
            work: dict[str, Any] = (
                {} if number > rounds else {"samples": 10, "weight": 1 / len(sites), "release": release}
            )
            found.append(
                RoundRecord(
                    round=min(number, rounds),
                    site=site,
                    metrics=metrics(max(0.0, skill(index, evaluated, len(sites)))),
                    evaluated_round=evaluated,
                    nbytes_up=400_000 if work else 0,
                    nbytes_down=1_000_000,
                    seconds=Seconds(
                        fetch=0.2, evaluate=1, train=20 - 4 * (index % 4), submit=0.3, wait=4 * (index % 4)
                    ),
                    **work,
                )
            )
    return found


def site_results(sites: tuple[str, ...], rounds: int, **changes: Any) -> tuple[SiteResult, ...]:
    return tuple(
        SiteResult(
            name=site,
            training_cases=20 - index % 17,
            validation_cases=6,
            rounds=rounds,
            metrics=metrics(skill(index, rounds, len(sites))),
            nbytes_up=400_000 * rounds,
            nbytes_down=1_000_000 * rounds,
        ).model_copy(update=changes)
        for index, site in enumerate(sites)
    )


def result(names: tuple[str, ...] = SITES, rounds: int = 6, **changes: Any) -> Result:
    values: dict[str, Any] = {
        "state": "Completed",
        "name": "brain-tumour",
        "namespace": "research",
        "federation": "fedward.test",
        "network": Network(name="SegResNet", local_epochs=2, modalities=("t1c", "t2f"), aggregation="FedAvg"),
        "seed": 7,
        "software": "fedward 0.1.0",
        "plan_digest": "ab" * 32,
        "started_at": STARTED,
        "finished_at": STARTED + timedelta(minutes=3, seconds=20),
        "rounds_planned": rounds,
        "rounds_done": rounds,
        "model": ModelRecord(round=rounds, digest="cd" * 32, nbytes=1_000_000, parameters=250_000),
        "sites": site_results(names, rounds),
        "nbytes_up": 400_000 * rounds * len(names),
        "aggregate_seconds": 0.4,
    }
    return Result(**(values | changes))


def baselines(sites: tuple[str, ...] = SITES) -> Baselines:
    return Baselines(
        local={site: BaselineRun(sites={site: metrics(0.5)}, seconds=60) for site in sites},
        central=BaselineRun(sites={site: metrics(0.75) for site in sites}, seconds=90),
    )


def write(out: Path, run: Result, rounds: list[RoundRecord] | None = None) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    write_record(out / RESULT, run)
    if rounds is not None:
        (out / METRICS).write_text("".join(line.model_dump_json(by_alias=True) + "\n" for line in rounds))
    return out
