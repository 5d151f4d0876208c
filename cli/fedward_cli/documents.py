"""A file's documents, checked against each other: for a local run, or for a plan of a job that goes to a hub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedward_cli.documents_read import ReadDocument, duplicates, in_order, of_kind, read_file
from fedward_cli.problems import InputError, Problem
from fedward_cli.yaml_lines import Located
from fedward_operator.api import ConfigMap, FederatedJob, FederatedSite, SitePolicy
from fedward_operator.api.meta import API_VERSION
from fedward_operator.api.policy import Dataset
from fedward_operator.hub.bundle import bundle_of
from fedward_operator.hub.findings import UnresolvableError
from fedward_operator.hub.resolve import resolve
from fedward_protocol.plan import Bundle, Plan

FEDERATION = "fedward.localhost"
"""The trust domain of local runs; names below .localhost never leave the machine."""
_UNBORN = "00000000-0000-0000-0000-000000000000"
"""Stands for the uid while a file is only looked at."""


@dataclass(frozen=True, slots=True)
class Documents:
    """Everything that a local run needs to know, and that fits together.

    Attributes:
        file: where it was read; relative host paths start at its folder.
        job: what to train.
        sites: the federation's sites.
        policies: by the site's name; each site of the job has one.
        bundle: the files of the job's bundle, where it names one.
    """

    file: Path
    job: FederatedJob
    sites: tuple[FederatedSite, ...]
    policies: Mapping[str, SitePolicy]
    bundle: Bundle | None

    def plan(self, uid: str = _UNBORN) -> Plan:
        """Resolve the job under the uid that a run gave it."""
        return _resolved(self.job, self.sites, self.bundle, uid)

    def data_folder(self, site: str) -> Path:
        """Return the folder that holds the job's dataset at a site."""
        dataset = _dataset(self.policies[site], self.job.spec.data.dataset)
        if dataset is None or dataset.volume.host_path is None:
            raise KeyError(site)
        return (self.file.parent / dataset.volume.host_path.path).resolve()


@dataclass(frozen=True, slots=True)
class ForHub:
    """A file as it is applied to a hub: the job, perhaps its bundle, and none of what the hub and hospitals know.

    Attributes:
        bundle: the files of the job's bundle, where it names one and the file holds it.
    """

    file: Path
    job: FederatedJob
    bundle: Bundle | None

    @property
    def lacks_bundle(self) -> bool:
        """Whether the job names a ConfigMap that the file does not hold."""
        return self.job.spec.model.bundle is not None and self.bundle is None

    def plan(self) -> Plan | None:
        """Resolve the job as far as the file goes; None where its sites, or its bundle, are known to the hub alone."""
        names = self.job.spec.sites.names
        if names is None or self.lacks_bundle:
            return None
        return _resolved(self.job, _supposed(names), self.bundle)


def load_documents(file: Path, overrides: Sequence[str] = ()) -> Documents:
    """Read a file of FederatedJob, FederatedSite, SitePolicy and ConfigMap documents.

    Raises:
        InputError: with all that is wrong, in the file's order.
    """
    return _fit_together(file, read_file(file, overrides))


def load_plannable(file: Path, overrides: Sequence[str] = ()) -> Documents | ForHub:
    """Read a file for a plan: of a local run, or, where it holds no SitePolicy, of a job that goes to a hub.

    Raises:
        InputError: with all that is wrong, in the file's order.
    """
    read = read_file(file, overrides)
    return _fit_together(file, read) if of_kind(SitePolicy, read) else _fit_for_hub(file, read)


def _the_job(file: Path, read: Sequence[ReadDocument], problems: list[Problem]) -> tuple[FederatedJob, Located]:
    jobs = of_kind(FederatedJob, read)
    if not jobs:
        raise InputError([*problems, Problem(str(file), (), "holds no FederatedJob document")])
    job, located = jobs[0]
    problems += [
        Problem(other.place(("kind",)), ("kind",), f'a second FederatedJob; the first is "{job.metadata.name}"')
        for _, other in jobs[1:]
    ]
    return job, located


def _fit_for_hub(file: Path, read: Sequence[ReadDocument]) -> ForHub:
    problems = list(duplicates(read))
    job, located = _the_job(file, read, problems)
    source = job.spec.model.bundle
    is_here = source and any(each.metadata.name == source.config_map for each, _ in of_kind(ConfigMap, read))
    found = ForHub(file, job, _bundle(job, located, read, problems) if is_here else None)
    if not problems:
        try:
            found.plan()
        except UnresolvableError as error:
            problems += [Problem(located.place(each.path), each.path, each.message) for each in error.findings]
    if problems:
        raise InputError(in_order(problems))
    return found


def _fit_together(file: Path, read: Sequence[ReadDocument]) -> Documents:
    problems = list(duplicates(read))
    job, located = _the_job(file, read, problems)
    bundle = _bundle(job, located, read, problems)
    documents = Documents(
        file=file,
        job=job,
        sites=tuple(site for site, _ in of_kind(FederatedSite, read)),
        policies={policy.metadata.name: policy for policy, _ in of_kind(SitePolicy, read)},
        bundle=bundle,
    )
    if not problems:
        try:
            plan = documents.plan()
        except UnresolvableError as error:
            problems += [Problem(located.place(each.path), each.path, each.message) for each in error.findings]
        else:
            problems += _policy_problems(plan, documents, read, located)
    if problems:
        raise InputError(in_order(problems))
    return documents


def _resolved(job: FederatedJob, sites: Sequence[FederatedSite], bundle: Bundle | None, uid: str = _UNBORN) -> Plan:
    metadata = job.metadata.model_copy(update={"uid": uid})
    return resolve(job.model_copy(update={"metadata": metadata}), sites, bundle, FEDERATION)


def _supposed(names: Sequence[str]) -> list[FederatedSite]:
    """Take it that the hub has these sites; whether it has is for it to say."""
    return [
        FederatedSite.model_validate({"apiVersion": API_VERSION, "kind": "FederatedSite", "metadata": {"name": name}})
        for name in names
    ]


def _bundle(
    job: FederatedJob, located: Located, read: Sequence[ReadDocument], problems: list[Problem]
) -> Bundle | None:
    source = job.spec.model.bundle
    if source is None:
        return None
    for config_map, place in of_kind(ConfigMap, read):
        if config_map.metadata.name == source.config_map:
            try:
                return bundle_of(config_map)
            except UnresolvableError as error:
                problems += [Problem(place.place(each.path), each.path, each.message) for each in error.findings]
                return None
    path = ("spec", "model", "bundle", "configMap")
    problems.append(Problem(located.place(path), path, f'the file holds no ConfigMap called "{source.config_map}"'))
    return None


def _policy_problems(plan: Plan, documents: Documents, read: Sequence[ReadDocument], job: Located) -> Iterator[Problem]:
    """Say which sites lack a policy, and which policies offer no folder under the job's name for the dataset."""
    places = {policy.metadata.name: located for policy, located in of_kind(SitePolicy, read)}
    for site in plan.sites:
        if site not in places:
            path = ("spec", "sites")
            yield Problem(job.place(path), path, f'the file holds no SitePolicy called "{site}"')
            continue
        dataset = _dataset(documents.policies[site], plan.data.dataset)
        if dataset is None:
            path = ("spec", "datasets")
            message = f'site "{site}" offers no dataset called "{plan.data.dataset}", which the job asks for'
            yield Problem(places[site].place(path), path, message)
        elif dataset.volume.host_path is None:
            path = ("spec", "datasets")
            yield Problem(places[site].place(path), path, f'in a local run "{dataset.name}" needs a hostPath')


def _dataset(policy: SitePolicy, name: str) -> Dataset | None:
    return next((dataset for dataset in policy.spec.datasets if dataset.name == name), None)
