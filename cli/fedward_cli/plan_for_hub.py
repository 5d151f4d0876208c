"""What `fedward plan` says of a job that goes to a hub: as much of its plan as its file tells, and what it does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType

from fedward_cli.documents import ForHub
from fedward_cli.plan_summary import closing, summary

_HUBS = {"federation": "the hub's domain", "job.uid": "given when the job is applied"}
"""Fields of a plan that no file tells."""


def document(found: ForHub) -> dict[str, Any]:
    """Give the plan to programs, without what is unknown; `unknown` says what that is, and who knows."""
    plan = found.plan()
    if plan is None:
        spec = found.job.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
        return {"plan": None, "spec": spec, "unknown": unknown(found)}
    known = plan.model_dump(mode="json", by_alias=True)
    del known["federation"], known["job"]["uid"]
    return {"plan": known, "unknown": unknown(found)}


def text(found: ForHub) -> Iterator[RenderableType]:
    """Say the plan, and what only the hub and the hospitals know, to people."""
    spec, plan = found.job.spec, found.plan()
    everybody = f"all {len(spec.sites.names)} sites" if spec.sites.names else "all sites"
    quorum = str(plan.rounds.quorum) if plan else str(spec.rounds.quorum)
    yield summary(found.job, found.bundle, closing(spec, everybody, quorum), {})
    if spec.sites.names:
        yield f"sites: {', '.join(sorted(set(spec.sites.names)))}"
    elif spec.sites.selector:
        labels = ", ".join(f"{name}={value}" for name, value in spec.sites.selector.match_labels.items())
        yield f"sites: those with the labels {labels}"
    yield "\nThe job is valid. Only the hub and the hospitals know:"
    yield from (f"  {name}: {why}" for name, why in unknown(found).items())
    yield "Check it at the hub, making nothing: kubectl apply --dry-run=server -f " + str(found.file)


def unknown(found: ForHub) -> dict[str, str]:
    """Say what cannot be known from the file, and who knows."""
    said = dict(_HUBS)
    spec = found.job.spec
    if spec.sites.names:
        said["sites"] = f"whether {', '.join(spec.sites.names)} are in the federation: fedward sites"
    else:
        said["sites"] = "who has the labels when the job starts, and so what its quorum comes to: kubectl get fsite -l"
    if found.lacks_bundle and spec.model.bundle:
        said["model.bundle"] = (
            f"the files of the ConfigMap {spec.model.bundle.config_map} in {found.job.metadata.namespace}"
        )
    said["data"] = f"whether each hospital offers {spec.data.dataset}, in which format and how much: its SitePolicy"
    said["privacy"] = "the floor that each hospital adds to the job's filters, and its budget: its SitePolicy"
    return said
