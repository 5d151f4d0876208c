"""All that the site role knows of both clusters."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fedward_operator.kube import kinds
from fedward_operator.kube.cache import Cache
from fedward_operator.kube.kinds import Kind
from fedward_operator.policy import pods
from fedward_operator.policy.naming import LABEL_COMPONENT, LABEL_SITE_JOB
from fedward_operator.site import views
from fedward_operator.site.views import Asked, Mirrored, Order, Policy, Preflight, PreflightPod


class SiteCaches:
    """One cache a kind; `mirrored` and `policies` come through Kopf, `asked` from the hub."""

    def __init__(
        self,
        look_at: Callable[[str], None],
        look_at_all: Callable[[], None],
        look_at_mirror: Callable[[str], None],
        look_at_policies: Callable[[], None],
    ) -> None:
        """Make empty caches.

        Args:
            look_at: told of the name of each SiteJob that something happened to.
            look_at_all: told that something happened which concerns all of them.
            look_at_mirror: told of the name of each SiteJob that changed on either side.
            look_at_policies: told that something happened to an inspection of a dataset.
        """

        def mirrored(key: views.Key, _: object) -> None:
            look_at(key[1])
            look_at_mirror(key[1])

        def trainer(_: views.Key, job: pods.JobView) -> None:
            look_at(job.owner)
            if job.complete or job.failed or job.deleting:
                look_at_all()  # a place is free

        def refused(_: views.Key, refusal: pods.Refusal) -> None:
            job = self.trainers.get(refusal.job)
            if job is not None:
                look_at(job.owner)
            elif self.preflights.get(refusal.job) is not None:
                look_at_policies()

        self.asked: Cache[Asked] = Cache(views.view_asked, lambda key, _: look_at_mirror(key[1]))
        self.mirrored: Cache[Mirrored] = Cache(views.view_mirrored, mirrored)
        self.policies: Cache[Policy] = Cache(views.view_policy, lambda *_: look_at_all())
        self.trainers: Cache[pods.JobView] = Cache(pods.view_job, trainer, lambda job: job.owner)
        self.pods: Cache[pods.PodView] = Cache(pods.view_pod, lambda _, pod: look_at(pod.owner), lambda pod: pod.owner)
        self.orders: Cache[Order] = Cache(views.view_order, lambda _, order: look_at(order.owner))
        self.claims: Cache[Order] = Cache(views.view_order, lambda _, claim: look_at(claim.owner))
        self.preflights: Cache[Preflight] = Cache(views.view_preflight, lambda *_: look_at_policies())
        self.preflight_pods: Cache[PreflightPod] = Cache(
            views.view_preflight_pod, lambda *_: look_at_policies(), lambda each: each.job_uid
        )
        self.refusals: Cache[pods.Refusal] = Cache(pods.view_refusal, refused, lambda view: view.job)

    def sizes(self) -> list[tuple[str, int]]:
        """Say how many objects of each kind are known."""
        return [(name, len(cache)) for name, cache in vars(self).items()]


WATCHED: Mapping[str, tuple[Kind, Mapping[str, str]]] = {
    "trainers": (kinds.JOB, {"labelSelector": f"{LABEL_COMPONENT}=trainer"}),
    "pods": (kinds.POD, {"labelSelector": f"{LABEL_COMPONENT}=trainer"}),
    "preflights": (kinds.JOB, {"labelSelector": f"{LABEL_COMPONENT}=preflight"}),
    "preflight_pods": (kinds.POD, {"labelSelector": f"{LABEL_COMPONENT}=preflight"}),
    "orders": (kinds.SECRET, {"labelSelector": LABEL_SITE_JOB}),
    "claims": (kinds.CLAIM, {"labelSelector": LABEL_SITE_JOB}),
    "refusals": (kinds.EVENT, {"fieldSelector": "reason=FailedCreate,involvedObject.kind=Job"}),
}
"""What an informer watches in the hospital's cluster for each cache."""
