"""A FederatedJob and the sites there are become a plan: every choice made, nothing left to look up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from fedward_operator.api import FederatedJob, FederatedSite
from fedward_operator.hub.findings import Finding, UnresolvableError
from fedward_operator.policy.quorum import quorum_of
from fedward_protocol.plan import Bundle, JobIdentity, Model, Plan, Rounds

_MOST_SITES = 256


def resolve(job: FederatedJob, sites: Sequence[FederatedSite], bundle: Bundle | None, federation: str) -> Plan:
    """Make the plan of a job whose uid is known.

    Args:
        job: what is asked for.
        sites: every site of the federation; the job's names or selector choose among them.
        bundle: the files that `spec.model.bundle` names; None for a built-in network.
        federation: the SPIFFE trust domain.

    Raises:
        UnresolvableError: sites that do not exist, too few of them, or a quorum that they cannot reach.
    """
    names, findings = _chosen(job, {site.metadata.name: site.metadata.labels for site in sites})
    rounds = job.spec.rounds
    quorum = quorum_of(rounds, len(names))
    if not findings:
        findings = tuple(_unreachable(job, len(names), quorum))
    if (job.spec.model.bundle is None) != (bundle is None):
        findings += (Finding(("spec", "model", "bundle"), "the bundle's files were not found"),)
    if job.metadata.uid is None:
        findings += (Finding(("metadata", "uid"), "the job has not been given a uid yet"),)
    if findings or job.metadata.uid is None:
        raise UnresolvableError(findings)
    spec = job.spec
    return Plan(
        federation=federation,
        job=JobIdentity(name=job.metadata.name, namespace=job.metadata.namespace, uid=job.metadata.uid),
        sites=names,
        seed=spec.seed,
        model=Model(network=spec.model.network, bundle=bundle),
        data=spec.data,
        training=spec.training,
        rounds=Rounds(
            count=rounds.count,
            quorum=quorum,
            deadline_s=rounds.deadline.total_seconds(),
            grace_s=rounds.grace.total_seconds(),
        ),
        aggregation=spec.aggregation,
        privacy=spec.privacy,
        evaluation=spec.evaluation,
        transport=spec.transport,
        active_deadline_s=spec.active_deadline_seconds,
    )


def _chosen(job: FederatedJob, known: dict[str, dict[str, str]]) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
    """Choose the job's sites, sorted, and say which of its wishes no site fits."""
    selection = job.spec.sites
    if selection.names is not None:
        missing = tuple(
            Finding(("spec", "sites", "names", index), f'no FederatedSite is called "{name}"{_suggest(name, known)}')
            for index, name in enumerate(selection.names)
            if name not in known
        )
        return tuple(sorted(set(selection.names))), missing
    wanted = selection.selector.match_labels.items() if selection.selector else ()
    names = tuple(sorted(name for name, labels in known.items() if wanted and wanted <= labels.items()))
    path = ("spec", "sites", "selector")
    if not names:
        return names, (Finding(path, "selects no FederatedSite"),)
    if len(names) > _MOST_SITES:
        return names, (Finding(path, f"selects {len(names)} sites; a job takes {_MOST_SITES} at most"),)
    return names, ()


def _suggest(name: str, known: dict[str, dict[str, str]]) -> str:
    close = get_close_matches(name, known, n=1)
    return f', did you mean "{close[0]}"?' if close else ""


def _unreachable(job: FederatedJob, nsites: int, quorum: int) -> Iterator[Finding]:
    """Say which numbers of sites the job asks for cannot be had."""
    rounds, rule = job.spec.rounds, job.spec.aggregation
    if rounds.min_sites > nsites:
        yield Finding(("spec", "rounds", "minSites"), f"asks for {rounds.min_sites} sites, and there are {nsites}")
    if quorum > nsites:
        yield Finding(("spec", "rounds", "quorum"), f"asks for {quorum} sites, and there are {nsites}")
    if quorum < rule.fewest_updates:
        yield Finding(
            ("spec", "aggregation"),
            f"{rule.algorithm} as configured needs {rule.fewest_updates} updates a round, and the quorum is {quorum}",
        )
