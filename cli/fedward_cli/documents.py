"""A local file's documents, read, validated and checked against each other; errors name file, line and field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from fedward_cli.complaints import explain
from fedward_cli.overrides import apply_overrides
from fedward_cli.problems import InputError, Problem
from fedward_cli.yaml_lines import Located, read_yaml
from fedward_operator.api import ConfigMap, FederatedJob, FederatedSite, SitePolicy
from fedward_operator.api.meta import API_VERSION
from fedward_operator.api.policy import Dataset
from fedward_operator.hub.bundle import bundle_of
from fedward_operator.hub.findings import UnresolvableError
from fedward_operator.hub.resolve import resolve
from fedward_protocol.plan import Bundle, Plan

Document = FederatedJob | FederatedSite | SitePolicy | ConfigMap
_Kind = TypeVar("_Kind", bound=Document)
_KINDS: dict[str, type[Document]] = {
    kind.__name__: kind for kind in (FederatedJob, FederatedSite, SitePolicy, ConfigMap)
}

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


@dataclass(slots=True)
class _Read:
    """A document that is valid by itself, with its places."""

    document: Document
    located: Located


def load_documents(file: Path, overrides: Sequence[str] = ()) -> Documents:
    """Read a file of FederatedJob, FederatedSite, SitePolicy and ConfigMap documents.

    Raises:
        InputError: with all that is wrong, in the file's order.
    """
    return _fit_together(file, _read_file(file, overrides))


def load_plannable(file: Path, overrides: Sequence[str] = ()) -> Documents | ForHub:
    """Read a file for a plan: of a local run, or, where it holds no SitePolicy, of a job that goes to a hub.

    Raises:
        InputError: with all that is wrong, in the file's order.
    """
    read = _read_file(file, overrides)
    return _fit_together(file, read) if _of_kind(SitePolicy, read) else _fit_for_hub(file, read)


def _read_file(file: Path, overrides: Sequence[str]) -> list[_Read]:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError([Problem(str(file), (), error.strerror or "cannot be read")]) from error
    except UnicodeDecodeError as error:
        raise InputError([Problem(str(file), (), "is not UTF-8 text")]) from error
    raw, problems = read_yaml(text, str(file))
    for located in raw:
        if isinstance(located.data, dict) and located.data.get("kind") == "FederatedJob":
            problems += apply_overrides(located, overrides)
    read: list[_Read] = []
    for located in raw:
        document = _validate(located, problems)
        if document is not None:
            read.append(_Read(document, located))
    if problems:
        raise InputError(_in_order(problems))
    return read


def _validate(located: Located, problems: list[Problem]) -> Document | None:
    """Validate one document by its kind; what is wrong with it is added to `problems`."""
    data = located.data
    if not isinstance(data, dict) or not isinstance(data.get("kind"), str):
        problems.append(Problem(located.place(()), ("kind",), f"is required: one of {', '.join(_KINDS)}"))
        return None
    kind = _KINDS.get(data["kind"])
    if kind is None:
        close = get_close_matches(data["kind"], _KINDS, n=1)
        hint = f', did you mean "{close[0]}"?' if close else f"; a local file holds {', '.join(_KINDS)}"
        problems.append(Problem(located.place(("kind",)), ("kind",), f'unknown kind "{data["kind"]}"{hint}'))
        return None
    try:
        # By way of JSON and strictly, so that a value means here what it means to the API server.
        return kind.model_validate_json(json.dumps(data), strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        schema = kind.model_json_schema(by_alias=True)
        for details in error.errors(include_url=False):
            path, message = explain(details, data, schema)
            problems.append(Problem(located.place(path), path, message))
        return None


def _the_job(file: Path, read: Sequence[_Read], problems: list[Problem]) -> tuple[FederatedJob, Located]:
    jobs = _of_kind(FederatedJob, read)
    if not jobs:
        raise InputError([*problems, Problem(str(file), (), "holds no FederatedJob document")])
    job, located = jobs[0]
    problems += [
        Problem(other.place(("kind",)), ("kind",), f'a second FederatedJob; the first is "{job.metadata.name}"')
        for _, other in jobs[1:]
    ]
    return job, located


def _fit_for_hub(file: Path, read: Sequence[_Read]) -> ForHub:
    problems = list(_duplicates(read))
    job, located = _the_job(file, read, problems)
    source = job.spec.model.bundle
    is_here = source and any(each.metadata.name == source.config_map for each, _ in _of_kind(ConfigMap, read))
    found = ForHub(file, job, _bundle(job, located, read, problems) if is_here else None)
    if not problems:
        try:
            found.plan()
        except UnresolvableError as error:
            problems += [Problem(located.place(each.path), each.path, each.message) for each in error.findings]
    if problems:
        raise InputError(_in_order(problems))
    return found


def _fit_together(file: Path, read: Sequence[_Read]) -> Documents:
    problems = list(_duplicates(read))
    job, located = _the_job(file, read, problems)
    bundle = _bundle(job, located, read, problems)
    documents = Documents(
        file=file,
        job=job,
        sites=tuple(site for site, _ in _of_kind(FederatedSite, read)),
        policies={policy.metadata.name: policy for policy, _ in _of_kind(SitePolicy, read)},
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
        raise InputError(_in_order(problems))
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


def _of_kind(kind: type[_Kind], read: Sequence[_Read]) -> list[tuple[_Kind, Located]]:
    return [(each.document, each.located) for each in read if isinstance(each.document, kind)]


def _duplicates(read: Sequence[_Read]) -> Iterator[Problem]:
    seen: dict[tuple[str, str], str] = {}
    for each in read:
        key = (each.document.kind, each.document.metadata.name)
        place = each.located.place(("metadata", "name"))
        if key in seen and each.document.kind != "FederatedJob":
            yield Problem(place, ("metadata", "name"), f'a second {key[0]} called "{key[1]}", first at {seen[key]}')
        seen.setdefault(key, place)


def _bundle(job: FederatedJob, located: Located, read: Sequence[_Read], problems: list[Problem]) -> Bundle | None:
    source = job.spec.model.bundle
    if source is None:
        return None
    for config_map, place in _of_kind(ConfigMap, read):
        if config_map.metadata.name == source.config_map:
            try:
                return bundle_of(config_map)
            except UnresolvableError as error:
                problems += [Problem(place.place(each.path), each.path, each.message) for each in error.findings]
                return None
    path = ("spec", "model", "bundle", "configMap")
    problems.append(Problem(located.place(path), path, f'the file holds no ConfigMap called "{source.config_map}"'))
    return None


def _policy_problems(plan: Plan, documents: Documents, read: Sequence[_Read], job: Located) -> Iterator[Problem]:
    """Say which sites lack a policy, and which policies offer no folder under the job's name for the dataset."""
    places = {policy.metadata.name: located for policy, located in _of_kind(SitePolicy, read)}
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


def _in_order(problems: Sequence[Problem]) -> list[Problem]:
    def key(problem: Problem) -> tuple[str, int]:
        file, _, line = problem.where.rpartition(":")
        return (file, int(line)) if line.isdigit() else (problem.where, 0)

    return sorted(problems, key=key)
