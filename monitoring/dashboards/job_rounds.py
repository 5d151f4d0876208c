"""Of a job's dashboard: where the time of a round goes, what is sent, and what was refused."""

from __future__ import annotations

from monitoring.dashboards.job_queries import JOB, SITES, of_site
from monitoring.dashboards.page import Row
from monitoring.panels import BLUE, GREEN, GREY, NEUTRAL, RED, YELLOW, Frame, Query, Words, course, ranking, timeline

_DOES: Words = {
    1: ("Absent", GREY),
    2: ("Attending", BLUE),
    3: ("Training", GREEN),
    4: ("Submitted", "#5794F2"),
    5: ("Lost", YELLOW),
    6: ("Failed", RED),
}


def _doing() -> str:
    """Make a number of each site's state, for a timeline."""
    states = ((number, f'{SITES},state="{word}"') for number, (word, _) in _DOES.items())
    return " or ".join(f"{of_site('site_state', labels)} * {number}" for number, labels in states)


TIME = Row(
    "Where the time goes",
    (
        course(
            Frame(
                "A round by stage",
                "What a site's part of the last round consisted of, on average over the sites.",
                "s",
                8,
            ),
            Query(f"avg by (stage) ({of_site('site_stage_seconds', SITES, 'site, stage')})", "{{stage}}"),
            stacked=True,
        ),
        ranking(
            Frame("Slowest sites", "The ten sites that took longest over the last closed round.", "s", 8),
            Query(f"topk(10, sum by (site) ({of_site('site_stage_seconds', SITES, 'site, stage')}))", "{{site}}"),
        ),
        course(
            Frame(
                "Length of a round",
                "From opening to model; of it, waiting from the first update to the last.",
                "s",
                8,
            ),
            *(
                Query(
                    f"histogram_quantile({share}, sum by (le)"
                    f" (fedward_aggregator_round_duration_seconds_bucket{{{JOB}}}))",
                    legend,
                )
                for share, legend in ((0.5, "half were shorter"), (0.9, "one in ten was longer"))
            ),
            Query(
                "histogram_quantile(0.5, sum by (le)"
                f' (fedward_aggregator_stage_duration_seconds_bucket{{{JOB},stage="wait"}}))',
                "of it, waiting",
            ),
        ),
        timeline(
            Frame("What each site does", "Twenty sites a page, in the order of their names.", "none", 12, 9),
            Query(_doing(), "{{site}}"),
            _DOES,
        ),
        ranking(
            Frame(
                "Rounds behind",
                "How many rounds have closed since a site's last update that counted; the ten furthest behind.",
                "none",
                6,
                9,
            ),
            Query(f"topk(10, {of_site('site_round_lag')})", "{{site}}"),
            steps=((None, GREEN), (1, YELLOW), (3, RED)),
        ),
        ranking(
            Frame(
                "Progress",
                "How far each site is with what it does now; the twenty least advanced.",
                "percentunit",
                6,
                9,
                empty="No site has said how far it is",
            ),
            Query(f"bottomk(20, {of_site('site_progress_ratio')})", "{{site}}"),
            at_most=1,
        ),
    ),
)

SENT = Row(
    "What is sent, and what was refused",
    (
        course(
            Frame("Traffic", "Updates received by the aggregator, models sent by it.", "Bps", 8),
            Query(f"sum(rate(fedward_aggregator_received_bytes_total{{{JOB}}}[$__rate_interval]))", "received"),
            Query(f"sum(rate(fedward_aggregator_sent_bytes_total{{{JOB}}}[$__rate_interval]))", "sent"),
        ),
        ranking(
            Frame(
                "Received by site",
                "Bytes of updates since the aggregator started; the ten sites that sent most.",
                "bytes",
                8,
            ),
            Query(f"topk(10, sum by (site) (fedward_aggregator_received_bytes_total{{{SITES}}}))", "{{site}}"),
        ),
        ranking(
            Frame("Refusals", "By site and reason, since the aggregator started; the ten most frequent.", "none", 8),
            Query(
                f"topk(10, sum by (site, reason) (fedward_aggregator_refusals_total{{{SITES}}}))"
                ' or on () label_replace(vector(0), "site", "none", "", "")',
                "{{site}} {{reason}}",
            ),
            steps=((None, GREEN), (1, RED)),
        ),
        ranking(
            Frame("Times lost", "How often a site was found silent or gone; the ten most often.", "none", 8),
            Query(
                f"topk(10, sum by (site) (fedward_aggregator_sites_lost_total{{{SITES}}}))"
                ' or on () label_replace(vector(0), "site", "none", "", "")',
                "{{site}}",
            ),
            steps=((None, GREEN), (1, YELLOW), (5, RED)),
        ),
        ranking(
            Frame(
                "Privacy spent",
                "ε so far, as each site's gateway said; the ten highest.",
                "none",
                8,
                empty="No private mechanism",
                decimals=2,
            ),
            Query(f"topk(10, {of_site('site_spent_epsilon')})", "{{site}}"),
        ),
        ranking(
            Frame("Weight", "Each site's share in the last aggregate; the ten largest.", "percentunit", 8),
            Query(f"topk(10, {of_site('site_weight')})", "{{site}}"),
            steps=NEUTRAL,
            at_most=1,
        ),
    ),
)
