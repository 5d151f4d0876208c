"""What the hub's administrator chose once for all jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class HubSettings:
    """The federation and its images.

    Attributes:
        federation: SPIFFE trust domain, and the domain under which aggregators' certificates are named.
        door: host and port at which every site reaches the hub.
        aggregator_image: image of the aggregator.
        trainer_image: image that makes the first model, where a job names none.
        storage_class: of the aggregators' claims; the cluster's default where None.
        storage: size of such a claim.
        site_certificate_life: for how long a site's certificate is good; it is renewed at two thirds of that.
        namespace: where the operator itself and the door live.
        scrapers: who may scrape an aggregator's metrics: peers as a NetworkPolicy has them.
        scraper_authority: gives the authority (PEM) of scrapers, where they have to show a certificate; metrics are
            in the clear where None.
        annotate_aggregators: whether aggregators' pods say by annotations how Prometheus scrapes them.
        tracing_endpoint: the collector that aggregators send spans to; none where empty.
        tracing_egress: what they may reach for that: egress rules as a NetworkPolicy has them.
        tracker_image: image of what logs jobs to MLflow; nothing does where empty.
        tracking_egress: what that may reach besides the aggregator: egress rules.
        pull_secrets: what images are pulled with; Secrets in the jobs' namespaces.
    """

    federation: str
    door: str
    aggregator_image: str
    trainer_image: str
    storage_class: str | None = None
    storage: str = "20Gi"
    site_certificate_life: timedelta = timedelta(days=30)
    namespace: str = "fedward"
    scrapers: Sequence[Mapping[str, Any]] = ()
    scraper_authority: Callable[[], bytes] | None = None
    annotate_aggregators: bool = False
    tracing_endpoint: str = ""
    tracing_egress: Sequence[Mapping[str, Any]] = ()
    tracker_image: str = ""
    tracking_egress: Sequence[Mapping[str, Any]] = ()
    pull_secrets: Sequence[str] = ()
