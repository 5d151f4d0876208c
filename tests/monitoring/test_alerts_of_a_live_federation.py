"""What goes wrong in a live federation is told by its alert, and the dashboards show it; here without the patience."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from monitoring.reading import read
from tests.monitoring.federation import BRISK_S, SITES, Federation
from tests.monitoring.observed import VARIABLES, Observed, needs_prometheus, observe

pytestmark = [pytest.mark.process, pytest.mark.thorough, pytest.mark.timeout(300), needs_prometheus]

CHARTS = Path(__file__).resolve().parents[2] / "charts"
FEDERATION, JOB, SITE = (
    read(CHARTS / path)
    for path in (
        "fedward-hub/dashboards/federation.json",
        "fedward-hub/dashboards/job.json",
        "fedward-site/dashboards/site.json",
    )
)
DAY = 86400
MANY_ROUNDS = 2.5
"""The ε that some forty rounds spend."""


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    settings, budgets = ("rounds.deadline=4s", "rounds.grace=0s"), {"south": MANY_ROUNDS}
    folder = tmp_path_factory.mktemp("troubled")
    return Federation(folder, *settings, budgets=budgets, step_s=BRISK_S, metric="accuracy")


@pytest.fixture(scope="module")
def observed(federation: Federation) -> Iterator[Observed]:
    """One for all tests, as it takes a while to start: each mends what it has broken."""
    with observe(federation) as made:
        made.wait_for("fedward_aggregator_round > 2")
        yield made


def attending(observed: Observed) -> float:
    """How many sites the job's dashboard says attend."""
    return observed.ask(JOB.panel("Sites attending").targets[0].filled(VARIABLES))[0].value


def test_hospitals_that_are_lost_are_told_of_until_they_are_back(federation: Federation, observed: Observed) -> None:
    before = attending(observed)
    lost = ("trainer-east", "trainer-north")
    for trainer in lost:
        federation.freeze(trainer)
    observed.wait_for_alert("FedwardSiteLost")
    observed.wait_for_alert("FedwardQuorumAtRisk")
    observed.wait_for_alert("FedwardRoundStuck")
    assert attending(observed) == before - len(lost)
    shown = observed.ask(FEDERATION.panel("What is wrong").targets[0].filled(VARIABLES))
    assert {"FedwardSiteLost", "FedwardQuorumAtRisk"} <= {series.labels["alertname"] for series in shown}

    for trainer in lost:
        federation.thaw(trainer)
    observed.prometheus.wait(
        lambda: not observed.client.firing() & {"FedwardQuorumAtRisk", "FedwardRoundStuck"},
        60,
        "the sites are back, and it is still told that they are lost",
    )


def test_a_hospital_whose_updates_are_refused_is_told_of(federation: Federation, observed: Observed) -> None:
    federation.spoil("spoil-west")
    observed.wait_for_alert("FedwardRefusalsRising")
    observed.wait_for_alert("FedwardGatewayRefusalsRising")
    observed.wait_for_alert("FedwardSiteNotCounted")
    federation.mend("spoil-west")
    refused = {
        (series.labels["site"], series.labels["reason"]): series.value
        for series in observed.ask(JOB.panel("Refusals").targets[0].filled(VARIABLES))
    }
    assert refused["west", "BadSampleCount"] >= 3


def test_a_job_is_shown_by_the_metric_that_it_is_judged_by(observed: Observed) -> None:
    observed.wait_for("fedward_aggregator_best_score and on () fedward_trainer_score")
    offered = JOB.variables["metric"].removeprefix("label_values(").removesuffix(", metric)")
    for variable, value in VARIABLES.items():
        offered = offered.replace(f"${variable}", value)
    assert observed.client.values("metric", offered) == ["accuracy"]
    for title in ("Score by site", "Score by site and part", "Ten served worst"):
        shown = observed.ask(JOB.panel(title).targets[0].filled(VARIABLES | {"metric": "accuracy"}))
        assert {series.labels["site"] for series in shown} == set(SITES), title
    (target,) = SITE.panel("Score").targets
    (shown,) = observed.ask(target.filled(VARIABLES | {"site": "north"}))
    assert shown.labels["metric"] == "accuracy"


def test_a_trainer_that_makes_no_headway_is_told_of(federation: Federation, observed: Observed) -> None:
    stuck = 'ALERTS{alertname="FedwardTrainerStuck",site="west",alertstate="firing"}'
    # One that has only just begun could not have done anything.
    observed.wait_for(f"absent({stuck})")
    federation.spoil("stall-west")
    observed.wait_for(stuck)
    federation.mend("stall-west")
    observed.wait_for(f"absent({stuck})")


def test_a_model_that_gets_worse_is_told_of(federation: Federation, observed: Observed) -> None:
    observed.wait_for('fedward_aggregator_metric{metric="accuracy"} > 0.3 and on () fedward_aggregator_round >= 5')
    for site in ("east", "north"):
        federation.spoil(f"forget-{site}")
    observed.wait_for_alert("FedwardScoreFalling")
    observed.wait_for_alert("FedwardSiteDiverging")
    for site in ("east", "north"):
        federation.mend(f"forget-{site}")


def test_a_budget_that_is_nearly_spent_is_told_of(observed: Observed) -> None:
    observed.wait_for_alert("FedwardBudgetNearlySpent", 120)
    spent = observed.ask(SITE.panel("Share of the budget spent").targets[0].filled(VARIABLES | {"site": "south"}))
    assert spent[0].value > 0.9


def test_an_aggregator_that_hangs_is_told_of_at_both_ends(federation: Federation, observed: Observed) -> None:
    federation.freeze("aggregator")
    observed.wait_for_alert("FedwardAggregatorMissing")
    observed.wait_for_alert("FedwardGatewayCutOff")
    federation.thaw("aggregator")


def test_what_the_operators_say_is_told(observed: Observed) -> None:
    operators = observed.operators
    operators.is_heard["north"] = False
    operators.queue_ages_s = {"hub": 400.0, "site": 400.0}
    operators.hub_is_reached = operators.policy_holds = False
    operators.authority_ends = operators.membership_ends = time.time() + DAY
    operators.failures, operators.is_tracked = 2, False
    observed.wait_for_alert("FedwardJobFailingRepeatedly")
    operators.job_state = "Failed"
    for alert in (
        "FedwardSiteOffline",
        "FedwardHubOperatorStuck",
        "FedwardSiteOperatorStuck",
        "FedwardHubUnreachable",
        "FedwardPolicyNotReady",
        "FedwardAuthorityExpiring",
        "FedwardMembershipExpiring",
        "FedwardJobFailed",
        "FedwardJobNotTracked",
    ):
        observed.wait_for_alert(alert)
    operators.leads = False
    observed.wait_for_alert("FedwardHubOperatorLeaderless")


def test_gateways_and_operators_that_are_not_scraped_are_missed(federation: Federation, observed: Observed) -> None:
    # The last of these tests: the operators do not come back.
    for name in federation.addresses():
        if name.startswith("gateway-"):
            federation.freeze(name)
    observed.operators.close()
    for alert in ("FedwardGatewayMissing", "FedwardHubOperatorMissing", "FedwardSiteOperatorMissing"):
        observed.wait_for_alert(alert)
