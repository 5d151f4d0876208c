"""Room and certificates that come to an end in a live federation are told of by their alerts, without the patience."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.monitoring.federation import BRISK_S, Federation
from tests.monitoring.observed import Observed, needs_prometheus, observe
from tests.monitoring.small_volumes import fill, needs_volumes, relieve

pytestmark = [
    pytest.mark.process,
    pytest.mark.thorough,
    pytest.mark.timeout(300),
    needs_prometheus,
    needs_volumes,
]

AGGREGATOR, GATEWAY = "aggregator", "gateways/west"
MIB = 1 << 20
SIZE = 128 * MIB
"""Of either volume: a twentieth of it is more than what a round of the toy takes."""


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    volumes = {AGGREGATOR: SIZE, GATEWAY: SIZE}
    folder = tmp_path_factory.mktemp("scarce")
    return Federation(folder, "rounds.deadline=4s", step_s=BRISK_S, certificate_days=6, volumes=volumes)


@pytest.fixture(scope="module")
def observed(federation: Federation) -> Iterator[Observed]:
    with observe(federation) as made:
        made.wait_for("fedward_aggregator_round > 2")
        yield made


def test_certificates_that_were_not_renewed_are_told_of(observed: Observed) -> None:
    observed.wait_for_alert("FedwardAggregatorCertificateExpiring")
    observed.wait_for_alert("FedwardGatewayCertificateExpiring")


def test_a_gateways_volume_that_is_nearly_full_is_told_of(federation: Federation, observed: Observed) -> None:
    low = 'ALERTS{alertname="FedwardGatewayStorageLow",site="west",volume="state",alertstate="firing"}'
    assert observed.ask(low) == []
    process, folder = federation.processes()["gateway-west"], federation.out / "run" / GATEWAY
    fill(process, folder, SIZE // 20)
    observed.wait_for(low)
    relieve(process, folder)
    observed.wait_for(f"absent({low})")


def test_an_aggregators_volume_that_fills_is_told_of_and_the_job_goes_on_once_there_is_room(
    federation: Federation, observed: Observed
) -> None:
    alerts = {"FedwardAggregatorStorageLow", "FedwardAggregatorStorageFull"}
    assert not observed.client.firing() & alerts
    process, folder = federation.processes()["aggregator"], federation.out / "run" / AGGREGATOR
    fill(process, folder, SIZE // 20)
    observed.wait_for_alert("FedwardAggregatorStorageLow")
    fill(process, folder, 0)
    observed.wait_for_alert("FedwardAggregatorStorageFull")
    (stopped,) = observed.ask("fedward_aggregator_round")
    relieve(process, folder)
    observed.prometheus.wait(lambda: not observed.client.firing() & alerts, 60, "there is room, and it is not seen")
    observed.wait_for(f"fedward_aggregator_round > {stopped.value + 1}")
