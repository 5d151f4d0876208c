"""Records of a run that never was: two sites, some rounds, an evaluation of the last model."""

from __future__ import annotations

from pathlib import Path

from fedward_cli.results import METRICS, ROUNDS, ClosedRound, Mean, Release, RoundRecord, Seconds

SITES = ("north", "south")


def part(number: int, site: str, dice: float = 0.5) -> RoundRecord:
    """A site's part in a round; north has 30 cases to train on and 1 to measure, south 10 and 3."""
    north = site == "north"
    return RoundRecord(
        round=number,
        site=site,
        samples=30 if north else 10,
        weight=0.75 if north else 0.25,
        metrics={"dice": Mean(sum=dice * (1 if north else 3), count=1 if north else 3)},
        evaluated_round=number - 1,
        train_loss=0.4 if north else 0.8,
        nbytes_up=1000,
        nbytes_down=2000,
        seconds=Seconds(train=5),
        release=Release(epsilon=0.5, spent_epsilon=0.5 * number) if north else Release(),
        received_at=100.0 * number + 3,
    )


def evaluation(number: int, site: str, dice: float) -> RoundRecord:
    """What a site measured of the last model."""
    mean = Mean(sum=dice, count=1)
    return RoundRecord(
        round=number, site=site, metrics={"dice": mean}, evaluated_round=number, received_at=100.0 * number + 90
    )


def closed(number: int) -> ClosedRound:
    """A round that both sites were in."""
    return ClosedRound(
        round=number,
        sites=SITES,
        opened_at=100.0 * number,
        closed_at=100.0 * number + 5,
        wait_seconds=2,
        aggregate_seconds=0.25,
    )


def write_rounds(out: Path, first: int, last: int, *, evaluated: bool = False) -> None:
    """Add rounds to the records of a run's folder, and the last model's evaluation."""
    with (out / METRICS).open("a") as metrics, (out / ROUNDS).open("a") as rounds:
        for number in range(first, last + 1):
            for site in SITES:
                metrics.write(part(number, site, number / 10).model_dump_json(by_alias=True) + "\n")
            rounds.write(closed(number).model_dump_json(by_alias=True) + "\n")
        for site in SITES if evaluated else ():
            metrics.write(evaluation(last, site, 0.9).model_dump_json(by_alias=True) + "\n")
