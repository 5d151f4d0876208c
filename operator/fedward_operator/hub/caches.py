"""All that the hub role knows of the cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from fedward_operator.hub import views
from fedward_operator.hub.views import ChildView, Heartbeat, Key, PartView, RequestView, SiteView
from fedward_operator.kube import kinds
from fedward_operator.kube.cache import Cache
from fedward_operator.kube.kinds import Kind
from fedward_operator.policy import pods
from fedward_operator.policy.joining.naming import SIGNER, certificate_request
from fedward_operator.policy.naming import HEARTBEAT, LABEL_COMPONENT, LABEL_SIDE, LABEL_UID


class HubCaches:
    """One cache a kind.

    `jobs` and `sites` come through Kopf, the others are informers', each with its selector in `WATCHED`.
    """

    def __init__(
        self,
        look_at_job: Callable[[Key], None],
        look_at_site: Callable[[str], None],
        look_at_request: Callable[[str], None],
        now: Callable[[], datetime],
    ) -> None:
        """Make empty caches.

        Args:
            look_at_job: told of each FederatedJob that something happened to.
            look_at_site: told of each FederatedSite that something happened to.
            look_at_request: told of each request for a certificate that something happened to.
            now: by which clock a site is heard.
        """

        def family(_: Key, view: ChildView | PartView | pods.JobView | pods.PodView) -> None:
            look_at_job(view.family)

        def mailbox(key: Key, _: object) -> None:
            look_at_site(key[0].removeprefix("fedward-site-"))

        def site(key: Key, _: SiteView) -> None:
            look_at_site(key[1])
            look_at_request(certificate_request(key[1]))

        def refused(_: Key, refusal: pods.Refusal) -> None:
            job = self.aggregators.get(refusal.job)
            if job is not None:
                look_at_job(job.family)

        self.jobs = Cache(views.view_federated_job, lambda key, _: look_at_job(key))
        self.sites: Cache[SiteView] = Cache(views.view_site, site)
        self.requests: Cache[RequestView] = Cache(views.view_request, lambda key, _: look_at_request(key[1]))
        self.heartbeats: Cache[Heartbeat] = Cache(lambda item: views.view_heartbeat(item, now()), mailbox)
        self.parts: Cache[PartView] = Cache(views.view_part, family, lambda view: view.family)
        self.plans = Cache(views.view_child, family)
        self.claims = Cache(views.view_child, family)
        self.secrets = Cache(views.view_secret, family)
        self.services = Cache(views.view_service, family)
        self.fences = Cache(views.view_network_policy, family)
        self.aggregators: Cache[pods.JobView] = Cache(pods.view_job, family, lambda view: view.family)
        self.trackers: Cache[pods.JobView] = Cache(pods.view_job, family, lambda view: view.family)
        self.pods: Cache[pods.PodView] = Cache(pods.view_pod, family, lambda view: view.family)
        self.refusals: Cache[pods.Refusal] = Cache(pods.view_refusal, refused, lambda view: view.job)

    def sizes(self) -> list[tuple[str, int]]:
        """Say how many objects of each kind are known."""
        return [(name, len(cache)) for name, cache in vars(self).items()]


def own(cache: Cache[ChildView], key: Key, uid: str) -> ChildView | None:
    """Return the child of this name, if it is the job's of this uid and is to stay."""
    found = cache.get(key)
    return found if found is not None and found.job_uid == uid and not found.deleting else None


WATCHED: Mapping[str, tuple[Kind, Mapping[str, str]]] = {
    # By its one name too: a site may make other Leases in its mailbox, as many as it likes.
    "heartbeats": (
        kinds.LEASE,
        {"labelSelector": f"{LABEL_COMPONENT}=site", "fieldSelector": f"metadata.name={HEARTBEAT}"},
    ),
    "parts": (kinds.SITE_JOB, {"labelSelector": f"{LABEL_SIDE}=hub"}),
    "plans": (kinds.CONFIG_MAP, {"labelSelector": LABEL_UID}),
    "claims": (kinds.CLAIM, {"labelSelector": LABEL_UID}),
    "secrets": (kinds.SECRET, {"labelSelector": LABEL_UID}),
    "services": (kinds.SERVICE, {"labelSelector": LABEL_UID}),
    "fences": (kinds.NETWORK_POLICY, {"labelSelector": LABEL_UID}),
    "aggregators": (kinds.JOB, {"labelSelector": f"{LABEL_COMPONENT}=aggregator"}),
    "pods": (kinds.POD, {"labelSelector": f"{LABEL_COMPONENT}=aggregator"}),
    "trackers": (kinds.JOB, {"labelSelector": f"{LABEL_COMPONENT}=tracker"}),
    "requests": (kinds.CERTIFICATE_REQUEST, {"fieldSelector": f"spec.signerName={SIGNER}"}),
    "refusals": (kinds.EVENT, {"fieldSelector": "reason=FailedCreate,involvedObject.kind=Job"}),
}
"""What an informer watches for each cache."""
