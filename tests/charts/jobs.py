"""What the operators add to what the charts install: the pods of a job, and the fences around them."""

from __future__ import annotations

from collections.abc import Mapping

from tests.charts.helm import Manifest

from fedward_operator.api.job import FederatedJobSpec
from fedward_operator.api.policy import SitePolicySpec
from fedward_operator.api.site_job import SiteJobSpec
from fedward_operator.api.tracking import Tracking
from fedward_operator.hub import children
from fedward_operator.hub.owned import Owner
from fedward_operator.hub.settings import HubSettings
from fedward_operator.hub.tracking import children as trackers
from fedward_operator.policy.admission.verdict import Grant
from fedward_operator.site import preflight, trainer
from fedward_operator.site.settings import SiteSettings
from fedward_operator.site.views import Mirrored, Policy

SCRAPERS = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
HUB = HubSettings("fed.example.org", "fed.example.org:443", "a", "t", namespace="centre", scrapers=SCRAPERS)
SITE = SiteSettings("north", "fed.example.org", "fedward", "t", "$(FEDWARD_GATEWAY_SERVICE_HOST):8443")

TRACKING = Tracking.model_validate({"mlflow": {"uri": "https://mlflow.example.org", "secretName": "mlflow"}})
_JOB = FederatedJobSpec.model_validate(
    {
        "model": {"network": {"name": "UNet"}},
        "data": {"dataset": "brats"},
        "sites": {"names": ["north"]},
        "rounds": {"count": 1},
    }
)
_ASKED = SiteJobSpec.model_validate(
    {
        "job": {"namespace": "research", "name": "brain", "uid": "0123456789"},
        "site": "north",
        "federation": "fed.example.org",
        "attempt": 1,
        "aggregator": {"address": "fed.example.org:443", "serverName": "brain.research.fed.example.org"},
        "plan": "{}",
        "planDigest": "a" * 64,
        "dataset": "brats",
    }
)
_POLICY = SitePolicySpec.model_validate(
    {"datasets": [{"name": "brats", "volume": {"persistentVolumeClaim": {"claimName": "scans"}}}]}
)


def aggregator(job: str, hub: HubSettings = HUB) -> tuple[Manifest, Manifest]:
    """Make an aggregator's Job and its fence."""
    owner, tracked = _owner(job), bool(hub.tracker_image)
    return children.aggregator_job(owner, _JOB, 1, hub), children.network_policy(owner, hub, tracked=tracked)


def tracker(job: str, hub: HubSettings) -> tuple[Manifest, Manifest]:
    """Make the Job that follows an aggregator, and its fence."""
    owner = _owner(job)
    return trackers.follower_job(owner, TRACKING, 1, hub), trackers.network_policy(owner, hub)


def _owner(job: str) -> Owner:
    return Owner("research", job, f"uid-of-{job}", {})


def training(name: str) -> Manifest:
    """Make a trainer's Job."""
    mirrored = Mirrored(name, "u", 1, "", "h", 1, b"{}", {}, None, False)
    grant = Grant(_POLICY.datasets[0].volume, "t", {}, {}, (), None, None, None, None, None)
    return trainer.trainer_job(mirrored, _ASKED, grant, _POLICY, "b", SITE)


def inspection() -> Manifest:
    """Make the Job that looks at a dataset."""
    return preflight.preflight_job(Policy("north", "u", 1, b"{}", {}), _POLICY, _POLICY.datasets[0], "b", SITE)


def fences() -> list[Manifest]:
    """Make the fences that a site's operator keeps."""
    return [trainer.network_policy(SITE), preflight.network_policy(SITE)]


def labels(job: Manifest) -> Mapping[str, str]:
    """Give the labels of a Job's pods."""
    found: Mapping[str, str] = job["spec"]["template"]["metadata"]["labels"]
    return found
