"""One page of metrics for a whole local run, also while its aggregator is killed and comes back."""

from __future__ import annotations

import os
import re
import select
import signal
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from scripts.generate_metrics import parts
from toy_federation import SITES, TRAINER, documents

from fedward_cli.local.metrics_page import MetricsPage
from fedward_cli.local.run import run_local
from fedward_cli.local.view import Silent

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]


class Scraper(Silent):
    """Reads the page whenever something is observed, and kills the aggregator after its first round."""

    def __init__(self, page, out):
        self.page, self.out, self.scrapes, self.killed_at = page, out, [], None

    def observed(self, history, closed):
        self.scrapes.append(scrape(self.page))
        if closed and self.killed_at is None:
            kill(aggregator_of(self.out))
            self.killed_at = len(self.scrapes)
            self.scrapes.append(scrape(self.page))


def scrape(page):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page.text())
        for sample in family.samples
    }


def aggregator_of(out):
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        if b"\0fedward_server\0" in command and f"{out}/".encode() in command:
            return int(entry.name)
    raise AssertionError("no aggregator runs")


def kill(pid):
    process = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    ended, _, _ = select.select([process], [], [], 10)
    os.close(process)
    assert ended


def family_of(sample):
    return re.sub(r"_(bucket|count|sum)$", "", sample)


def has(found, prefix, **labels):
    return any(key[0].startswith(prefix) and set(labels.items()) <= set(key[1:]) for key in found)


def test_one_page_shows_aggregator_and_gateways_and_outlives_a_kill(tmp_path):
    page, out = MetricsPage(), tmp_path / "out"
    scraper = Scraper(page, out)

    result = run_local(documents(tmp_path), out, trainer_command=TRAINER, view=scraper, metrics=page)

    assert result.state == "Completed"
    whole = [found for found in scraper.scrapes if has(found, "fedward_aggregator_", job_name="toy")]
    assert any(all(has(found, "fedward_gateway_", site=site) for site in SITES) for found in whole)
    without = scraper.scrapes[scraper.killed_at]
    assert not has(without, "fedward_aggregator_")
    assert has(without, "fedward_gateway_")
    job = (("job_name", "toy"), ("job_namespace", "research"))
    for site in SITES:
        updates = [found["fedward_aggregator_updates_total", *job, ("site", site)] for found in whole]
        assert updates[-1] == 3
        assert updates == sorted(updates), "a restart forgets no update"
    assert scrape(page) == {}
    assert {family_of(key[0]) for found in whole for key in found} <= {
        family.name for part in parts() for family in part.families
    }, "docs/metrics.md lists whatever is shown"
