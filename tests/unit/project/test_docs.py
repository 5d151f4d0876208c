"""The documentation leads somewhere: every reason has its heading, every heading its reason, every link its target."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from fedward_operator.api.policy import SitePolicySpec
from fedward_protocol.inspection import Obstacle, Problem
from fedward_protocol.reasons import Reason
from fedward_server.rounds.state import Phase

ROOT = Path(__file__).resolve().parents[3]
TROUBLESHOOTING = ROOT / "docs/troubleshooting.md"
PAGES = sorted([ROOT / "README.md", ROOT / "tests/kube/README.md", *(ROOT / "docs").rglob("*.md")])
SOURCES = [
    *(
        path
        for folder in ("checks", "hub", "policy", "site")
        for path in sorted((ROOT / "operator/fedward_operator" / folder).rglob("*.py"))
    ),
    *sorted((ROOT / "cli/fedward_cli/cluster").glob("*.py")),
]
"""Where conditions, refusals and findings are made; what is about Kubernetes or the API alone makes none."""

WORD = re.compile(r"[A-Z][a-z]+(?:[A-Z][a-z]+)*")

COMPLETED = {
    "TooMuch": ("TooMuchCpu", "TooMuchMemory"),
    "Site": ("SiteRefused", "SiteFailed", "SiteLost", "SiteOffline"),
    "Volume": ("VolumePending", "VolumeLost"),
}
"""Beginnings of reasons that the code completes, and what comes of them."""

OTHER_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        Admitted Connected DataSound Degraded QuorumMet Ready Tracked
        Absent Attending Lost Offline Refused Submitted

        ConfigMap FederatedJob FederatedSite Job List Namespace PersistentVolumeClaim
        Accept Authorization Connection Date
        Cpu Memory Mon Tue Wed Thu Fri Sat Sun
        True False Unknown Normal Warning

        Approved Bound Complete Denied Directory DisruptionTarget Egress Established FailureTarget File Ingress
        NamesAccepted Opaque Pod PodScheduled PodSecurity ReadWriteOnce ReplicaFailure Running Stopped
        SuccessCriteriaMet Succeeded User ValidatingAdmissionPolicy WaitForFirstConsumer

        ContainerCreating CrashLoopBackOff CreateContainerConfigError CreateContainerError PodInitializing
        CreateContainerNamespaceError ErrImageNeverPull ErrImagePull ImageInspectError ImagePullBackOff InvalidImageName
        PostStartHookError PreCreateHookError PreStartHookError RegistryUnavailable RunContainerError
        SignatureValidationFailed
        """,
    )
)
"""Words of the code that look like reasons: condition types, sites' states, kinds, and Kubernetes' own words."""


def words() -> set[str]:
    """Collect every string of the code that is written as a reason is."""
    found = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and WORD.fullmatch(node.value):
                found.add(node.value)
    return found


def reasons() -> set[str]:
    """Collect what can stand as a reason in a condition, or come as a refusal or a finding."""
    made = words() - OTHER_WORDS - set(COMPLETED)
    completed = {reason for all_of_them in COMPLETED.values() for reason in all_of_them}
    listed = {each.value for table in (Reason, Problem, Obstacle, Phase) for each in table}
    return made | completed | listed


def headings(page: Path, level: str = "#{1,6}") -> list[str]:
    """List a page's headings, without those in blocks of code."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.findall(rf"^{level} (.+?)\s*$", text, re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Name a page's headings as their anchors do: lower case, no punctuation, a hyphen for a space."""
    given: set[str] = set()
    for heading in headings(page):
        slug = re.sub(r"[^\w\- ]", "", heading.replace("`", "")).lower().replace(" ", "-")
        number = 0
        while (anchor := f"{slug}-{number}" if number else slug) in given:
            number += 1
        given.add(anchor)
    return given


def links(page: Path) -> Iterator[str]:
    """Yield what a page links to inside the project."""
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    yield from (target for target in targets if "://" not in target and not target.startswith("mailto:"))


def blocks(page: Path) -> Iterator[object]:
    """Yield the documents in a page's blocks of YAML."""
    for text in re.findall(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        yield from yaml.safe_load_all(text)


def policies() -> Iterator[tuple[str, dict[str, object]]]:
    """Yield every whole policy that a page gives: a SitePolicy's spec, or a value of the site's chart."""
    for page in PAGES:
        for block in blocks(page):
            if not isinstance(block, dict):
                continue
            spec = block.get("spec") if block.get("kind") == "SitePolicy" else block.get("policy")
            if spec is not None:
                yield page.name, spec


def test_every_reason_has_a_heading():
    missing = reasons() - set(headings(TROUBLESHOOTING, "###"))
    assert missing == set(), (
        "give each a heading in docs/troubleshooting.md, or name it in OTHER_WORDS if it is no reason"
    )


def test_every_heading_is_a_reason_that_the_code_gives():
    assert set(headings(TROUBLESHOOTING, "###")) - reasons() == set()


def test_no_reason_has_two_headings():
    found = headings(TROUBLESHOOTING, "###")
    assert sorted(found) == sorted(set(found))


def test_words_that_are_no_reasons_are_words_of_the_code():
    assert (OTHER_WORDS | set(COMPLETED)) - words() == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path):
    astray = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            astray.append(link)
    assert astray == []


def test_every_policy_of_the_pages_is_one_that_holds():
    found = list(policies())
    assert {"hospital-admin.md", "researcher.md"} <= {page for page, _ in found}
    for _, spec in found:
        SitePolicySpec.model_validate(spec)
