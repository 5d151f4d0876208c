"""For each alert, numbers that go wrong in the tenth minute; and numbers that look wrong and are not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FAULT_MINUTE = 10
_AFTER = 120
"""Minutes of samples from the fault on."""

Series = Mapping[str, str]

JOB = 'job_namespace="research",job_name="tumour"'
OF_JOB = {"job_namespace": "research", "job_name": "tumour"}
NORTH = {"site": "north"}
HUB = {"role": "hub", "version": "1"}
DAY = 86400


def steady(value: float) -> str:
    """The same number all along, in promtool's words."""
    return f"{value}x{FAULT_MINUTE + _AFTER}"


def step(before: float, after: float) -> str:
    """A number that changes with the fault."""
    return f"{before}x{FAULT_MINUTE - 1} {after}x{_AFTER}"


def appears(value: float) -> str:
    """A series that comes with the fault."""
    return f"_x{FAULT_MINUTE} {value}x{_AFTER}"


def vanishes(value: float) -> str:
    """A series that ends with the fault."""
    return f"{value}x{FAULT_MINUTE - 1} stale"


def climbs(to: int) -> str:
    """A counter that comes into being and rises by one a minute, up to the fault."""
    return f"_x{FAULT_MINUTE - to + 1} 1+1x{to - 1} {to}x{_AFTER}"


def state(name: str, numbers: str) -> Series:
    """An aggregator's state."""
    return {f'fedward_aggregator_state{{{JOB},state="{name}"}}': numbers}


def seen(part: str, **sites: str) -> Series:
    """A part of hospitals, where it is seen."""
    role = 'role="site",' if part == "operator" else ""
    return {
        f'fedward_{part}_build_info{{instance="{part}-{site}",{role}site="{site}",version="1"}}': numbers
        for site, numbers in sites.items()
    }


@dataclass(frozen=True, slots=True)
class Case:
    """Numbers that make one alert fire, with the labels and the words for its value that it then has."""

    alert: str
    series: Series
    labels: Mapping[str, str]
    value: str = ""


def operator(role: str, series: Series) -> Series:
    """What an operator shows, with who it is."""
    made = {f'fedward_operator_build_info{{instance="a",role="{role}",version="1"}}': steady(1)}
    return made | {f'{name}{{instance="a"}}' if "{" not in name else name: it for name, it in series.items()}


def refused(reason: str) -> Series:
    """What a hub's operator shows of two jobs whose parts are refused at its cluster."""
    which = f'instance="a",condition="Degraded",job_namespace="research",reason="{reason}"'
    degraded = {f'fedward_operator_job_condition{{{which},job_name="{name}"}}': appears(1) for name in ("a", "b")}
    return operator("hub", degraded)


def unmirrored(hub_connected: int) -> Series:
    """What a hospital's operator shows that cannot tell the hub of a part in a job."""
    age = 'fedward_operator_queue_age_seconds{instance="a",kind="Mirror"}'
    return operator("site", {age: step(0, 400), "fedward_operator_hub_connected": steady(hub_connected)})


def trainer(cases: str, stage: str, attending: int = 1) -> Series:
    """What a hospital's gateway shows of a trainer."""
    of_site = f'{JOB},site="north"'
    return {
        f"fedward_trainer_cases_total{{{of_site}}}": cases,
        f'fedward_trainer_stage{{{of_site},stage="{stage}"}}': steady(1),
        f"fedward_gateway_attending{{{of_site}}}": steady(attending),
    }


def scores(metric: str, best: float, numbers: str) -> Series:
    """A job that chooses its best model by a metric, and what its models score."""
    return {
        f'fedward_aggregator_best_score{{{JOB},metric="{metric}"}}': steady(best),
        f'fedward_aggregator_metric{{{JOB},metric="{metric}"}}': numbers,
    }


def at_north(metric: str, best: float, numbers: str, opened: int = 5) -> Series:
    """The same with a federation that is as good as its best, and what the models score at one site."""
    return scores(metric, best, steady(best)) | {
        f'fedward_aggregator_site_metric{{{JOB},metric="{metric}",site="north"}}': numbers,
        f"fedward_aggregator_round{{{JOB}}}": steady(opened),
    }


def restarted(best: float) -> Series:
    """An aggregator with a good model that ends, and another of the same name with a worse one that knows a best."""
    metric, best_score = (f'fedward_aggregator_{name}{{{JOB},metric="dice"' for name in ("metric", "best_score"))
    return {
        f'{metric},pod="a"}}': vanishes(0.8),
        f'{metric},pod="b"}}': appears(0.55),
        f'{best_score},pod="a"}}': vanishes(0.8),
        f'{best_score},pod="b"}}': appears(best),
    }


def goes(to: str, **others: str) -> Series:
    """A site that trains, and then is in another state."""
    of = f'fedward_aggregator_site_state{{{JOB},site="north"'
    return {f'{of},state="Training"}}': vanishes(1), f'{of},state="{to}"}}': appears(1), **others}


def comes_back(rounds: str) -> Series:
    """A site that is back from the fifth minute on, with the round at each minute."""
    return {
        f'fedward_aggregator_site_round_lag{{{JOB},site="north"}}': steady(3),
        f'fedward_aggregator_site_connected{{{JOB},site="north"}}': f"0x4 1x{FAULT_MINUTE + _AFTER}",
        f"fedward_aggregator_round{{{JOB}}}": rounds,
        **state("Training", steady(1)),
    }


AT = FAULT_MINUTE * 60

HUB_CASES = (
    Case(
        "FedwardSiteOffline",
        {
            'fedward_operator_site_connected{site="north"}': step(1, 0),
            'fedward_operator_site_last_seen_timestamp_seconds{site="north"}': steady(AT),
        },
        NORTH,
    ),
    Case("FedwardSiteLost", goes("Lost", **state("Training", steady(1))), OF_JOB | NORTH),
    Case("FedwardSiteLost", goes("Failed", **state("Training", steady(1))), OF_JOB | NORTH),
    Case(
        "FedwardSiteNotCounted",
        {
            f'fedward_aggregator_site_round_lag{{{JOB},site="north"}}': step(2, 3),
            f'fedward_aggregator_site_connected{{{JOB},site="north"}}': steady(1),
            **state("Training", steady(1)),
        },
        OF_JOB | NORTH,
        "3",
    ),
    Case("FedwardSiteNotCounted", comes_back(rounds=f"5x4 6x1 7 8x1 9x{_AFTER}"), OF_JOB | NORTH, "3"),
    Case(
        "FedwardQuorumAtRisk",
        {
            f'fedward_aggregator_site_connected{{{JOB},site="north"}}': step(1, 0),
            f'fedward_aggregator_site_connected{{{JOB},site="south"}}': steady(1),
            f"fedward_aggregator_quorum{{{JOB}}}": steady(2),
            **state("Training", steady(1)),
        },
        OF_JOB,
        "1",
    ),
    Case(
        "FedwardRoundStuck",
        {
            f"fedward_aggregator_round_deadline_timestamp_seconds{{{JOB}}}": steady(AT),
            **state("Training", steady(1)),
        },
        OF_JOB,
        "17m 0s",
    ),
    Case(
        "FedwardJobFailingRepeatedly",
        {
            f"fedward_operator_job_aggregator_failures{{{JOB}}}": step(1, 2),
            f'fedward_operator_job_state{{{JOB},state="Training"}}': steady(1),
        },
        OF_JOB,
        "2",
    ),
    Case("FedwardJobFailed", {f'fedward_operator_job_state{{{JOB},state="Failed"}}': appears(1)}, OF_JOB),
    Case("FedwardJobNotTracked", {f"fedward_operator_job_tracked{{{JOB}}}": step(1, 0)}, OF_JOB),
    Case(
        "FedwardRefusalsRising",
        {f'fedward_aggregator_refusals_total{{{JOB},reason="Malformed",site="north"}}': climbs(3)},
        OF_JOB | NORTH | {"reason": "Malformed"},
        "3",
    ),
    Case("FedwardScoreFalling", scores("dice", 0.8, step(0.8, 0.55)), OF_JOB | {"metric": "dice"}, "0.25"),
    Case("FedwardScoreFalling", scores("accuracy", 0.9, step(0.9, 0.75)), OF_JOB | {"metric": "accuracy"}, "0.15"),
    Case("FedwardScoreFalling", scores("val.psnr", 30, step(30, 26)), OF_JOB | {"metric": "val.psnr"}, "4.00"),
    Case("FedwardScoreFalling", scores("minus_loss", -2, step(-2, -2.5)), OF_JOB | {"metric": "minus_loss"}, "0.50"),
    Case("FedwardScoreFalling", restarted(best=0.8), OF_JOB | {"metric": "dice"}, "0.25"),
    Case(
        "FedwardSiteDiverging",
        at_north("dice", 0.75, step(0.75, 0.5)),
        OF_JOB | NORTH | {"metric": "dice"},
        "0.25",
    ),
    Case(
        "FedwardSiteDiverging",
        at_north("accuracy", 0.95, step(0.9, 0.7)),
        OF_JOB | NORTH | {"metric": "accuracy"},
        "0.25",
    ),
    Case(
        "FedwardSiteDiverging",
        at_north("val.psnr", 30, step(29, 22)),
        OF_JOB | NORTH | {"metric": "val.psnr"},
        "8.00",
    ),
    Case(
        "FedwardAuthorityExpiring",
        {"fedward_operator_authority_not_after_timestamp_seconds": steady(60 * DAY + AT - 1)},
        {},
        "59d 23h 47m 59s",
    ),
    Case(
        "FedwardAggregatorCertificateExpiring",
        {f"fedward_aggregator_certificate_not_after_timestamp_seconds{{{JOB}}}": steady(14 * DAY + AT - 1)},
        OF_JOB,
        "13d 23h 47m 59s",
    ),
    Case(
        "FedwardAggregatorStorageLow",
        {
            f"fedward_aggregator_volume_free_bytes{{{JOB}}}": step(20, 5),
            f"fedward_aggregator_volume_size_bytes{{{JOB}}}": steady(100),
        },
        OF_JOB,
        "5%",
    ),
    Case("FedwardAggregatorStorageFull", {f"fedward_aggregator_storage_full{{{JOB}}}": step(0, 1)}, OF_JOB),
    Case(
        "FedwardHubOperatorStuck",
        operator("hub", {'fedward_operator_queue_age_seconds{instance="a",kind="FederatedJob"}': step(0, 400)}),
        {"instance": "a", "kind": "FederatedJob"},
    ),
    Case(
        "FedwardHubOperatorStuck",
        operator("hub", {"fedward_operator_synced": step(1, 0), "fedward_operator_leading": steady(1)}),
        {"instance": "a"},
    ),
    Case("FedwardHubOperatorStuck", refused("OperatorForbidden"), {"instance": "a"}),
    Case("FedwardHubOperatorLeaderless", operator("hub", {"fedward_operator_leading": step(1, 0)}), {}),
    Case(
        "FedwardHubOperatorMissing",
        {'fedward_operator_build_info{instance="a",role="hub",version="1"}': vanishes(1)},
        {"role": "hub"},
    ),
    Case(
        "FedwardAggregatorMissing",
        {
            f'fedward_operator_job_state{{{JOB},state="Training"}}': steady(1),
            f"fedward_aggregator_round{{{JOB}}}": vanishes(3),
        },
        OF_JOB,
    ),
)

SITE_CASES = (
    Case(
        "FedwardHubUnreachable",
        operator("site", {"fedward_operator_hub_connected": step(1, 0)}),
        {"instance": "a"},
    ),
    Case(
        "FedwardGatewayCutOff",
        {
            f'fedward_gateway_hub_connected{{{JOB},site="north"}}': step(1, 0),
            f'fedward_gateway_attending{{{JOB},site="north"}}': steady(1),
        },
        OF_JOB | NORTH,
    ),
    Case("FedwardTrainerStuck", trainer(cases=f"0+8x{FAULT_MINUTE} 80x{_AFTER}", stage="train"), OF_JOB | NORTH),
    Case("FedwardTrainerStuck", trainer(cases=appears(0), stage="train"), OF_JOB | NORTH),
    Case(
        "FedwardGatewayRefusalsRising",
        {f'fedward_gateway_refusals_total{{{JOB},reason="PlanMismatch",site="north"}}': climbs(3)},
        OF_JOB | NORTH | {"reason": "PlanMismatch"},
        "3",
    ),
    Case(
        "FedwardBudgetNearlySpent",
        {
            'fedward_gateway_spent_epsilon{dataset="brats",site="north"}': step(8, 9.5),
            'fedward_gateway_budget_epsilon{dataset="brats",site="north"}': steady(10),
        },
        NORTH | {"dataset": "brats"},
        "95%",
    ),
    Case(
        "FedwardMembershipExpiring",
        {"fedward_operator_membership_not_after_timestamp_seconds": steady(7 * DAY + AT - 1)},
        {},
        "6d 23h 47m 59s",
    ),
    Case(
        "FedwardGatewayCertificateExpiring",
        {'fedward_gateway_certificate_not_after_timestamp_seconds{site="north"}': steady(7 * DAY + AT - 1)},
        NORTH,
        "6d 23h 47m 59s",
    ),
    Case(
        "FedwardGatewayStorageLow",
        {
            'fedward_gateway_volume_free_bytes{site="north",volume="state"}': step(20, 5),
            'fedward_gateway_volume_size_bytes{site="north",volume="state"}': steady(100),
        },
        NORTH | {"volume": "state"},
        "5%",
    ),
    Case(
        "FedwardPolicyNotReady",
        operator("site", {"fedward_operator_policy_ready": step(1, 0)}),
        {"instance": "a"},
    ),
    Case(
        "FedwardSiteOperatorStuck",
        operator("site", {'fedward_operator_queue_age_seconds{instance="a",kind="SiteJob"}': step(0, 400)}),
        {"instance": "a", "kind": "SiteJob"},
    ),
    Case(
        "FedwardSiteOperatorStuck",
        unmirrored(hub_connected=1),
        {"instance": "a", "kind": "Mirror"},
    ),
    Case(
        "FedwardSiteOperatorMissing",
        {'fedward_operator_build_info{instance="b",role="site",site="north",version="1"}': vanishes(1)},
        {"role": "site"},
    ),
    Case(
        "FedwardSiteOperatorMissing",
        seen("operator", north=vanishes(1), south=steady(1)) | seen("gateway", north=steady(1), south=steady(1)),
        NORTH,
    ),
    Case("FedwardGatewayMissing", {'fedward_gateway_build_info{site="north",version="1"}': vanishes(1)}, {}),
    Case(
        "FedwardGatewayMissing",
        seen("operator", north=steady(1), south=steady(1)) | seen("gateway", north=vanishes(1), south=steady(1)),
        NORTH,
    ),
)

NEAR_MISSES: Mapping[str, tuple[str, Series]] = {
    "a revoked site is not missed": (
        "FedwardSiteOffline",
        {
            'fedward_operator_site_connected{site="north"}': step(1, 0),
            'fedward_operator_site_last_seen_timestamp_seconds{site="north"}': steady(AT),
            'fedward_operator_site_revoked{site="north"}': step(0, 1),
        },
    ),
    "a site that was invited and has not come yet is not missed": (
        "FedwardSiteOffline",
        {'fedward_operator_site_connected{site="north"}': steady(0)},
    ),
    "a site leaves a job that is over": (
        "FedwardSiteLost",
        goes("Lost", **state("Completed", steady(1))),
    ),
    "a site that waits for approval has not left": (
        "FedwardSiteLost",
        {
            f'fedward_aggregator_site_connected{{{JOB},site="north"}}': steady(0),
            f'fedward_aggregator_site_state{{{JOB},site="north",state="Absent"}}': steady(1),
            **state("Training", steady(1)),
        },
    ),
    "a site that has just come back could not be counted": (
        "FedwardSiteNotCounted",
        comes_back(rounds=f"5x20 6x20 7x20 8x{_AFTER}"),
    ),
    "a site that is gone is not told of twice": (
        "FedwardSiteNotCounted",
        {
            f'fedward_aggregator_site_round_lag{{{JOB},site="north"}}': steady(3),
            f'fedward_aggregator_site_connected{{{JOB},site="north"}}': steady(0),
            **state("Training", steady(1)),
        },
    ),
    "a job that has just begun waits for its sites": (
        "FedwardQuorumAtRisk",
        {
            f'fedward_aggregator_site_connected{{{JOB},site="north"}}': steady(0),
            f"fedward_aggregator_quorum{{{JOB}}}": steady(2),
            **state("Waiting", steady(1)),
            **state("Training", steady(0)),
        },
    ),
    "no round is open, so no deadline has passed": (
        "FedwardRoundStuck",
        {f"fedward_aggregator_round_deadline_timestamp_seconds{{{JOB}}}": steady(0), **state("Training", steady(1))},
    ),
    "an aggregator that failed once": (
        "FedwardJobFailingRepeatedly",
        {f"fedward_operator_job_aggregator_failures{{{JOB}}}": step(0, 1)},
    ),
    "a job that has failed is told of by that": (
        "FedwardJobFailingRepeatedly",
        {
            f"fedward_operator_job_aggregator_failures{{{JOB}}}": steady(4),
            f'fedward_operator_job_state{{{JOB},state="Failed"}}': steady(1),
        },
    ),
    "a server that was away for less than half an hour": (
        "FedwardJobNotTracked",
        {f"fedward_operator_job_tracked{{{JOB}}}": f"1x{FAULT_MINUTE - 1} 0x29 1x{_AFTER - 30}"},
    ),
    "two refusals may happen": (
        "FedwardRefusalsRising",
        {f'fedward_aggregator_refusals_total{{{JOB},reason="Malformed",site="north"}}': climbs(2)},
    ),
    "a new job under an old name begins with a bad model": ("FedwardScoreFalling", restarted(best=0.6)),
    "a score that wavers has not fallen": ("FedwardScoreFalling", scores("accuracy", 0.9, step(0.9, 0.82))),
    "a point is little where scores are tens": ("FedwardScoreFalling", scores("val.psnr", 30, step(30, 28))),
    "scores below 0 count by their size": ("FedwardScoreFalling", scores("minus_loss", -3, step(-3, -3.2))),
    "a tenth is much where scores are small": ("FedwardScoreFalling", scores("minus_loss", -0.2, step(-0.2, -0.25))),
    "a metric that the job is not judged by may fall": (
        "FedwardScoreFalling",
        scores("accuracy", 0.9, steady(0.9))
        | {f'fedward_aggregator_metric{{{JOB},metric="{name}"}}': step(0.8, 0.2) for name in ("dice", "hd95")},
    ),
    "every model is bad at first": ("FedwardSiteDiverging", at_north("dice", 0.75, steady(0.3), opened=4)),
    "a site may lie a little below the mean": ("FedwardSiteDiverging", at_north("val.psnr", 30, steady(25))),
    "a distance is better the smaller it is, and no job is judged by it": (
        "FedwardSiteDiverging",
        at_north("dice", 0.75, steady(0.75))
        | {
            f'fedward_aggregator_metric{{{JOB},metric="hd95"}}': steady(20),
            f'fedward_aggregator_site_metric{{{JOB},metric="hd95",site="north"}}': steady(5),
        },
    ),
    "what a quota refuses is no fault of the hub's operator": ("FedwardHubOperatorStuck", refused("QuotaExceeded")),
    "a standby holds no work": (
        "FedwardHubOperatorStuck",
        operator("hub", {"fedward_operator_synced": steady(0), "fedward_operator_leading": steady(0)}),
    ),
    "a standby does not lead, another does": (
        "FedwardHubOperatorLeaderless",
        operator("hub", {"fedward_operator_leading": steady(0)})
        | {
            'fedward_operator_build_info{instance="b",role="hub",version="1"}': steady(1),
            'fedward_operator_leading{instance="b"}': steady(1),
        },
    ),
    "a job that waits for sites has no aggregator": (
        "FedwardAggregatorMissing",
        {f'fedward_operator_job_state{{{JOB},state="WaitingForSites"}}': steady(1)},
    ),
    "what a hub that is away cannot be told is no fault of the hospital's operator": (
        "FedwardSiteOperatorStuck",
        unmirrored(hub_connected=0),
    ),
    "a gateway without a trainer needs no hub": (
        "FedwardGatewayCutOff",
        {
            f'fedward_gateway_hub_connected{{{JOB},site="north"}}': steady(0),
            f'fedward_gateway_attending{{{JOB},site="north"}}': steady(0),
        },
    ),
    "a trainer that works": ("FedwardTrainerStuck", trainer(cases=f"0+8x{FAULT_MINUTE + _AFTER}", stage="train")),
    "a trainer that begins anew every few minutes is another matter": (
        "FedwardTrainerStuck",
        trainer(cases=" ".join(["0 0 8 16"] * 32), stage="train"),
    ),
    "a trainer that waits for the others trains nothing": (
        "FedwardTrainerStuck",
        trainer(cases=steady(80), stage="wait"),
    ),
    "a trainer whose job has ended says nothing any more": (
        "FedwardTrainerStuck",
        trainer(cases=steady(80), stage="train", attending=0),
    ),
    "what an outage cuts off is told of by its own alert": (
        "FedwardGatewayRefusalsRising",
        {f'fedward_gateway_refusals_total{{{JOB},reason="HubUnreachable",site="north"}}': climbs(9)},
    ),
    "a hospital's operator and its gateway are at different addresses": (
        "FedwardGatewayMissing",
        seen("operator", north=steady(1)) | seen("gateway", north=steady(1)),
    ),
    "where there is no limit there is no end of it": (
        "FedwardBudgetNearlySpent",
        {'fedward_gateway_spent_epsilon{dataset="brats",site="north"}': steady(1e6)},
    ),
}
"""What it is about, and the alert that must stay quiet."""
