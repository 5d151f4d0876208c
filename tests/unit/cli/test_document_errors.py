"""What a user reads when a file is wrong: all errors at once, each with file, line, field and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fedward_cli.documents import load_documents
from fedward_cli.problems import InputError

Write = Callable[[str], Path]


def problems(path: Path, *overrides: str) -> list[str]:
    with pytest.raises(InputError) as error:
        load_documents(path, overrides)
    return [str(problem).removeprefix(f"{path.parent}/") for problem in error.value.problems]


CASES = {
    "a misspelt field is suggested right": (
        ("count: 3", "cuont: 3"),
        [
            "job.yaml:11: spec.rounds.count: is required",
            'job.yaml:12: spec.rounds.cuont: unknown field, did you mean "count"?',
        ],
    ),
    "a field in snake case is suggested in camel case": (
        ("backoffLimit: 2", "backoff_limit: 2"),
        ['job.yaml:15: spec.backoff_limit: unknown field, did you mean "backoffLimit"?'],
    ),
    "a field in the wrong place is pointed to the right one": (
        ("  backoffLimit: 2", "  deadline: 30s"),
        ["job.yaml:15: spec.deadline: unknown field, did you mean spec.rounds.deadline?"],
    ),
    "a field that nothing resembles is answered with those that there are": (
        ("dataset: brats\n", "dataset: brats\n    zzz: 1\n"),
        [
            "job.yaml:9: spec.data.zzz: unknown field; known here: "
            "dataset, format, modalities, unreadableCases, validationFraction"
        ],
    ),
    "an unknown field of a union's chosen member": (
        ("backoffLimit: 2", "aggregation: {algorithm: FedAvgM, momentum: 0.9, serverMomentun: 0.9}"),
        [
            'job.yaml:15: spec.aggregation.momentum: unknown field, did you mean "serverMomentum"?',
            'job.yaml:15: spec.aggregation.serverMomentun: unknown field, did you mean "serverMomentum"?',
        ],
    ),
    "a member of a union that does not exist": (
        ("backoffLimit: 2", "aggregation: {algorithm: FedAvgm}"),
        [
            "job.yaml:15: spec.aggregation.algorithm: must be one of FedAvg, FedAvgM, Median, TrimmedMean, Krum, "
            'NormClippedMean, not "FedAvgm", did you mean "FedAvgM"?'
        ],
    ),
    "a union without its word": (
        ("backoffLimit: 2", "aggregation: {serverMomentum: 0.9}"),
        ['job.yaml:15: spec.aggregation: needs "algorithm"'],
    ),
    "a filter in a list": (
        ("backoffLimit: 2", "privacy:\n    filters:\n      - {name: percentile, keep: 4}\n      - {name: dp}"),
        [
            "job.yaml:17: spec.privacy.filters[0].keep: must be at most 1.0, not 4",
            "job.yaml:18: spec.privacy.filters[1].name: must be one of normClip, percentile, svt, gaussianNoise, "
            'exclude, not "dp"',
        ],
    ),
    "a number that is text": (
        ("count: 3", 'count: "3"'),
        ['job.yaml:12: spec.rounds.count: must be a whole number, not "3"'],
    ),
    "a number that is a fraction": (
        ("count: 3", "count: 3.5"),
        ["job.yaml:12: spec.rounds.count: must be a whole number, not 3.5"],
    ),
    "a number out of range": (
        ("count: 3", "count: 0"),
        ["job.yaml:12: spec.rounds.count: must be at least 1, not 0"],
    ),
    "a duration without a unit": (
        ("deadline: 30s", "deadline: 30"),
        ['job.yaml:14: spec.rounds.deadline: must be a duration such as "30m", "60s" or "1h30m", not 30'],
    ),
    "a deadline of nothing": (
        ("deadline: 30s", "deadline: 0s"),
        ['job.yaml:14: spec.rounds.deadline: must be more than "0s"'],
    ),
    "YAML 1.1's yes": (
        ("backoffLimit: 2", "suspend: yes"),
        ['job.yaml:15: spec.suspend: must be true or false, not "yes"'],
    ),
    "a list where a mapping belongs": (
        ("rounds:\n    count: 3\n    quorum: 50%\n    deadline: 30s", "rounds: [3]"),
        ["job.yaml:11: spec.rounds: must be a mapping, not a list"],
    ),
    "a list that is too short": (
        ("backoffLimit: 2", "training: {patch: [32, 32]}"),
        ["job.yaml:15: spec.training.patch[2]: is missing: the list is too short"],
    ),
    "a duplicate key": (
        ("    count: 3", "    count: 3\n    count: 4"),
        ["job.yaml:13: spec.rounds.count: duplicate key, first on line 12"],
    ),
    "two kinds of model": (
        ("network: {name: UNet}", "network: {name: UNet}\n    bundle: {configMap: x}"),
        ['job.yaml:5: spec.model: needs exactly one of "network" and "bundle"'],
    ),
    "a name that Kubernetes would not take": (
        ("name: glioma", "name: Glioma_1"),
        ['job.yaml:3: metadata.name: must be lower-case letters, digits and hyphens, 63 at most, not "Glioma_1"'],
    ),
    "a kind that is misspelt": (
        ("kind: FederatedJob", "kind: FederatedJop"),
        ['job.yaml:2: kind: unknown kind "FederatedJop", did you mean "FederatedJob"?'],
    ),
    "a version that is not there": (
        ("v1alpha1\nkind: FederatedJob", "v1\nkind: FederatedJob"),
        [
            'job.yaml:1: apiVersion: must be "fedward.io/v1alpha1", not "fedward.io/v1", '
            'did you mean "fedward.io/v1alpha1"?'
        ],
    ),
    "a site that is not there": (
        ("names: [north, south]", "names:\n      - north\n      - sout"),
        ['job.yaml:12: spec.sites.names[1]: no FederatedSite is called "sout", did you mean "south"?'],
    ),
    "a site without a policy": (
        ("kind: SitePolicy\nmetadata: {name: south}", "kind: SitePolicy\nmetadata: {name: other}"),
        ['job.yaml:9: spec.sites: the file holds no SitePolicy called "south"'],
    ),
    "a dataset that a site does not offer": (
        ("name: brats\n      volume: {hostPath: {path: data/south", "name: stroke\n      volume: {hostPath: {path: x"),
        ['job.yaml:37: spec.datasets: site "south" offers no dataset called "brats", which the job asks for'],
    ),
    "a dataset that only a cluster could mount": (
        ("{hostPath: {path: data/south}}", "{persistentVolumeClaim: {claimName: brats}}"),
        ['job.yaml:37: spec.datasets: in a local run "brats" needs a hostPath'],
    ),
    "a bundle that is not there": (
        ("network: {name: UNet}", "bundle: {configMap: glioma-bundle}"),
        ['job.yaml:6: spec.model.bundle.configMap: the file holds no ConfigMap called "glioma-bundle"'],
    ),
    "a second site of the same name": (
        ("kind: FederatedSite\nmetadata: {name: south}", "kind: FederatedSite\nmetadata: {name: north}"),
        ['job.yaml:23: metadata.name: a second FederatedSite called "north", first at job.yaml:19'],
    ),
    "text that is not YAML": (
        ("    count: 3", "    count: [3"),
        ["job.yaml:13: is not YAML: while parsing a flow sequence expected ',' or ']', but got ':'"],
    ),
}


@pytest.mark.parametrize(("change", "expected"), CASES.values(), ids=CASES.keys())
def test_an_error_names_file_line_field_and_what_to_do(
    change: tuple[str, str], expected: list[str], good: str, write: Write
) -> None:
    old, new = change
    assert old in good
    path = write(good.replace(old, new, 1))

    assert [text.replace(f"{path.parent}/", "") for text in problems(path)] == expected


def test_all_errors_of_all_documents_come_at_once_and_in_order(good: str, write: Write) -> None:
    text = good.replace("count: 3", "count: x").replace("epsilon: 8", "epsilon: -8").replace("dataset: brats", "x: 1")

    assert problems(write(text)) == [
        "job.yaml:7: spec.data.dataset: is required",
        "job.yaml:8: spec.data.x: unknown field; known here: "
        "dataset, format, modalities, unreadableCases, validationFraction",
        'job.yaml:12: spec.rounds.count: must be a whole number, not "x"',
        "job.yaml:42: spec.privacy.budget.epsilon: must be more than 0.0, not -8",
    ]


def test_a_file_without_a_job_says_so(good: str, write: Write) -> None:
    assert problems(write(good.split("---\n", 1)[1])) == ["job.yaml: holds no FederatedJob document"]


def test_an_empty_file_says_so(write: Write) -> None:
    assert problems(write("---\n---\n# nothing\n")) == ["job.yaml: holds no FederatedJob document"]


def test_a_file_with_two_jobs_points_at_the_second(good: str, write: Write) -> None:
    second = good.split("---\n", 1)[0].replace("name: glioma", "name: other")

    assert problems(write(f"{good}---\n{second}")) == [
        'job.yaml:46: kind: a second FederatedJob; the first is "glioma"'
    ]


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    assert problems(tmp_path / "none.yaml") == ["none.yaml: No such file or directory"]


def test_a_file_of_bytes_says_so(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_bytes(b"\xff\xfe\x00")

    assert problems(tmp_path / "job.yaml") == ["job.yaml: is not UTF-8 text"]


def test_aliases_that_never_end_are_stopped(write: Write) -> None:
    assert problems(write("a: &a [*a]\n"))[0] == "job.yaml:1: is not YAML: aliases make it endless or too large"


def test_aliases_that_multiply_are_stopped(write: Write) -> None:
    levels = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]

    assert "aliases make it endless or too large" in problems(write("\n".join(levels)))[0]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("rounds", '--set rounds: must look like "rounds.count=5"'),
        ("=5", '--set =5: must look like "rounds.count=5"'),
        ("rounds.count=0", "--set rounds.count=0: spec.rounds.count: must be at least 1, not 0"),
        ("rounds.cuont=5", '--set rounds.cuont=5: spec.rounds.cuont: unknown field, did you mean "count"?'),
        (
            "rounds.count=[5",
            "--set rounds.count=[5: spec.rounds.count: is not YAML: while parsing a flow sequence "
            "expected ',' or ']', but got '<stream end>'",
        ),
        ("rounds.count.x=5", "--set rounds.count.x=5: spec.rounds.count.x: there is nothing to set there"),
        ("sites.names[5]=x", "--set sites.names[5]=x: spec.sites.names[5]: there is nothing to set there"),
        (
            "sites.names[1]=nroth",
            '--set sites.names[1]=nroth: spec.sites.names[1]: no FederatedSite is called "nroth", '
            'did you mean "north"?',
        ),
        (
            "training.optimizer.lr=fast",
            '--set training.optimizer.lr=fast: spec.training.optimizer.lr: must be a number, not "fast"',
        ),
    ],
)
def test_an_option_is_held_to_the_same_rules_as_the_file(override: str, expected: str, good: str, write: Write) -> None:
    assert problems(write(good), override) == [expected]
