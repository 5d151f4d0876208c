"""Which accelerators, and on which nodes: the hospital's words win over the job's wishes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fedward_operator.api.job import PodTemplate, Resources, Toleration
from fedward_operator.api.policy import GpuOffer, SitePolicySpec
from fedward_operator.policy.admission.verdict import Refused


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a trainer runs, and with which accelerators."""

    gpus: Mapping[str, int]
    node_selector: Mapping[str, str]
    tolerations: tuple[Toleration, ...]
    runtime_class_name: str | None


def placement_of(asked: Resources, wishes: PodTemplate, policy: SitePolicySpec) -> Placement | Refused:
    """Return where the trainer runs."""
    on_cpu = Placement({}, wishes.node_selector, wishes.tolerations, None)
    if asked.gpu is None or asked.gpu.count == 0:
        return on_cpu
    offer = policy.gpus
    if offer is None:
        if policy.without_gpu == "train":
            return on_cpu
        return Refused("GpuNotOffered", "the site lends no GPU to this federation")
    if asked.gpu.count > offer.count:
        return Refused("TooManyGpus", f"the job asks for {asked.gpu.count} GPUs and the site lends {offer.count}")
    theirs = tuple(each for each in wishes.tolerations if each not in offer.tolerations)
    return Placement(
        gpus={resource_name(offer): asked.gpu.count},
        node_selector={**wishes.node_selector, **offer.node_selector},
        tolerations=(*offer.tolerations, *theirs),
        runtime_class_name=offer.runtime_class_name,
    )


def resource_name(offer: GpuOffer) -> str:
    """Name the extended resource as its device plugin does: a MIG profile's takes the place of the whole GPU's."""
    if offer.mig_profile is None:
        return offer.resource
    return offer.resource.replace("/gpu", f"/mig-{offer.mig_profile.replace('+', '.')}")
