from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import runs

from fedward_cli.report import write_report
from fedward_cli.results import BASELINES, Problem, Release, write_record

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}"


class Elements(HTMLParser):
    """What a browser would make of the page: its elements, and its visible text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag in ("td", "th"):
            self.words.append(" ")
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


def _page(out: Path) -> Elements:
    return Elements(write_report(out).read_text(encoding="utf-8"))


def _example(site: str, size: int = 8) -> dict[str, Any]:
    truth = np.zeros((size, size), np.uint8)
    truth[2:6, 2:6], truth[3:5, 3:5] = 1, 3
    return {
        "labels": np.array(["case 1"]),
        "image_0": np.linspace(0, 1, size * size, dtype=np.float32).reshape(size, size),
        "truth_0": truth,
        "prediction_0": np.zeros_like(truth),
        "spacing_0": np.array([5.8, 5.8]),
        "dice_0": np.array(0.25),
    }


def test_a_whole_run_has_every_section(tmp_path: Path) -> None:
    out = runs.write(tmp_path, runs.result(), runs.records())
    write_record(out / BASELINES, runs.baselines())
    (out / "examples").mkdir()
    np.savez(out / "examples" / "north.npz", **_example("north"))
    page = _page(out)
    headings = [
        "How it learned",
        "Was it worth joining?",
        "Results by hospital",
        "What it sees",
        "What left each hospital",
        "Where the time went",
        "Provenance",
    ]
    positions = [page.text.index(heading) for heading in headings]
    assert positions == sorted(positions)
    assert "4 hospitals trained one SegResNet together over 6 rounds, in 3 min 20 s." in page.text
    assert "The model reaches a mean Dice of" in page.text
    assert "above hospitals training alone (0.50)" in page.text
    assert "A single seed moves such a mean by about 0.02" in page.text
    assert "ab" * 32 in page.text
    assert "case 1, Dice 0.25" in page.text


def test_it_needs_no_network_and_no_script(tmp_path: Path) -> None:
    out = runs.write(tmp_path, runs.result(), runs.records())
    (out / "examples").mkdir()
    np.savez(out / "examples" / "north.npz", **_example("north"))
    text = write_report(out).read_text(encoding="utf-8")
    page = Elements(text)
    assert not {"script", "link", "iframe", "object", "form", "base"} & {tag for tag, _ in page.found}
    addresses = [value for _, given in page.found for name, value in given.items() if name in ("src", "href", "srcset")]
    assert addresses
    assert all(address and address.startswith("data:image/png;base64,") for address in addresses)
    assert "://" not in text
    assert "url(" not in text
    policy = next(given["content"] for _, given in page.found if given.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    names = (HOSTILE, "north")
    problem = Problem(reason=HOSTILE, detail=HOSTILE, site=HOSTILE, round=1)
    run = runs.result(names, name=HOSTILE, software=HOSTILE, plan_digest=HOSTILE, problems=(problem,), failure=problem)
    metrics = {HOSTILE: run.sites[0].metrics["dice"]}
    run = run.model_copy(update={"sites": tuple(s.model_copy(update={"metrics": metrics}) for s in run.sites)})
    lines = runs.records(("north",), release=Release(filters=(HOSTILE,), nbytes_in=10))
    out = runs.write(tmp_path, run, [line.model_copy(update={"metrics": metrics}) for line in lines])
    write_record(out / BASELINES, runs.baselines(names))
    page = _page(out)
    assert not any(tag == "script" or name.startswith("on") for tag, given in page.found for name in given)
    assert not [given for tag, given in page.found if tag == "img"]
    assert page.text.count("<script>alert(1)</script>") > 8
    assert "49" not in page.text.replace("{{ 7*7 }}", "")


def test_only_the_result_is_needed(tmp_path: Path) -> None:
    page = _page(runs.write(tmp_path, runs.result(sites=(), model=None, network=None, nbytes_up=0, rounds_done=0)))
    assert "Provenance" in page.text
    for heading in ("How it learned", "Was it worth", "Results by", "What it sees", "Where the time"):
        assert heading not in page.text


def test_a_failed_run_says_so_first_and_why(tmp_path: Path) -> None:
    failure = Problem(reason="QuorumLost", detail="2 of 4 sites are left", round=3)
    problems = (Problem(reason="BudgetSpent", site="east", round=3),)
    run = runs.result(state="Failed", rounds_done=2, failure=failure, problems=problems, model=None)
    page = _page(runs.write(tmp_path, run, runs.records(rounds=2)))
    why = page.text.index("It failed: in round 3, too few sites are left to reach the quorum: 2 of 4 sites are left.")
    assert why < page.text.index("it failed after 2 of 6 rounds")
    assert why < page.text.index("the dataset's privacy budget is spent") < page.text.index("How it learned")
    assert "delivered" not in page.text


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("Running", "are training one SegResNet together; 2 of 6 rounds are done"),
        ("Stopped", "it was stopped after 2 of 6 rounds"),
    ],
)
def test_an_unfinished_run_has_a_report_too(tmp_path: Path, state: str, says: str) -> None:
    run = runs.result(state=state, rounds_done=2, finished_at=None)
    assert says in _page(runs.write(tmp_path, run, runs.records(rounds=2))).text


def test_a_crowd_stays_readable_and_small(tmp_path: Path) -> None:
    names = tuple(f"hospital-{number:02}" for number in range(71))
    missed = tuple(Problem(reason="RoundClosed", site=names[n % 71], round=n) for n in range(1, 300))
    out = runs.write(tmp_path, runs.result(names, 300, problems=missed), runs.records(names, 300))
    write_record(out / BASELINES, runs.baselines(names))
    page = _page(out)
    assert (out / "report.html").stat().st_size < 3_000_000
    assert sum(given.get("class", "").startswith("end ") for _, given in page.found) == 4 * 3
    assert "and 66 more" in page.text
    assert page.text.count("RoundClosed") == 1


def test_epsilon_is_told_in_honest_words(tmp_path: Path) -> None:
    sites = (
        *runs.site_results(("vain",), 6, spent_epsilon=1.2e6, delta=1e-5),
        *runs.site_results(("sound",), 6, spent_epsilon=1.93, delta=1e-5, meaningful=True),
        *runs.site_results(("plain",), 6),
        *runs.site_results(("silent",), 0, nbytes_up=0),
    )
    lines = [*runs.records(("vain", "sound")), *runs.records(("plain",), release=Release(nbytes_in=400_000))]
    page = _page(runs.write(tmp_path, runs.result(sites=sites), lines)).text
    for site, says in (
        ("vain", "1 × 10⁶ ε is far too large to protect anyone: read it as no formal guarantee."),
        ("sound", "1.9 A formal bound on what the updates reveal"),
        ("plain", "none none The whole weight update left, with no formal privacy guarantee."),
        ("silent", "Nothing left this site."),
    ):
        row = page[page.index(f"{site} ", page.index("What left each hospital")) :]
        assert says in row[:260]


def test_a_model_chosen_by_the_cases_it_is_judged_on_is_owned_up_to(tmp_path: Path) -> None:
    run = runs.result()
    assert run.model is not None
    early = run.model_copy(update={"model": run.model.model_copy(update={"round": 4})})
    assert "so the figures flatter it a little" in _page(runs.write(tmp_path / "early", early, runs.records())).text
    assert "flatter" not in _page(runs.write(tmp_path / "last", run, runs.records())).text


def test_a_difference_below_the_noise_of_a_seed_is_called_none(tmp_path: Path) -> None:
    out = runs.write(
        tmp_path, runs.result(("north",), sites=runs.site_results(("north",), 60)), runs.records(("north",))
    )
    base = runs.baselines(("north",))
    value = runs.skill(0, 60, 1) - 0.015
    same = base.local["north"].model_copy(update={"sites": {"north": runs.metrics(value)}})
    write_record(out / BASELINES, base.model_copy(update={"local": {"north": same}, "central": None}))
    assert "no different, within the noise of a single seed, from hospitals training alone" in _page(out).text


def test_a_bundle_with_metrics_of_its_own_is_shown_by_their_names(tmp_path: Path) -> None:
    own = {"val_mean_iou": runs.metrics(0.6)["dice"]}
    sites = tuple(site.model_copy(update={"metrics": own}) for site in runs.site_results(runs.SITES, 6))
    lines = [line.model_copy(update={"metrics": own}) for line in runs.records()]
    page = _page(runs.write(tmp_path, runs.result(sites=sites), lines)).text
    assert "val_mean_iou" in page
    assert "0.600" in page
    assert "mean Dice" not in page


@pytest.mark.parametrize("damage", ["truncated", "pickled", "wrong shape", "missing"])
def test_a_damaged_example_is_left_out(tmp_path: Path, damage: str) -> None:
    out = runs.write(tmp_path, runs.result(), runs.records())
    (out / "examples").mkdir()
    np.savez(out / "examples" / "good.npz", **_example("good"))
    arrays = _example("bad")
    if damage == "pickled":
        arrays["labels"] = np.array([{"a": 1}], dtype=object)
    if damage == "wrong shape":
        arrays["truth_0"] = arrays["truth_0"][:3]
    if damage == "missing":
        del arrays["prediction_0"]
    bad = out / "examples" / "bad.npz"
    np.savez(bad, **arrays)
    if damage == "truncated":
        bad.write_bytes(bad.read_bytes()[:200])
    page = _page(out)
    assert sum(tag == "img" for tag, _ in page.found) == 3
    assert not re.search(r"\bbad\b", page.text)


def test_writing_it_again_gives_the_same_page(tmp_path: Path) -> None:
    out = runs.write(tmp_path, runs.result(), runs.records())
    first = write_report(out).read_bytes()
    assert write_report(out).read_bytes() == first
    assert sorted(path.name for path in out.iterdir()) == ["metrics.jsonl", "report.html", "result.json"]
