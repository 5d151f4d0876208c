"""For the researcher: does the model learn, whom does it serve badly, what does a round spend its time on."""

from __future__ import annotations

from monitoring.dashboards.page import Choice, Row, page
from monitoring.panels import (
    BLUE,
    GREEN,
    GREY,
    NEUTRAL,
    RED,
    YELLOW,
    YES_IS_GOOD,
    Column,
    Frame,
    Query,
    Words,
    course,
    figure,
    listing,
    matrix,
    ranking,
    timeline,
)

UID = "fedward-job"
_JOB = 'job_namespace="$job_namespace",job_name="$job_name"'
_SITES = f'{_JOB},site=~"$site"'
_DOES: Words = {
    1: ("Absent", GREY),
    2: ("Attending", BLUE),
    3: ("Training", GREEN),
    4: ("Submitted", "#5794F2"),
    5: ("Lost", YELLOW),
    6: ("Failed", RED),
}


def _of(series: str, labels: str = _SITES, by: str = "site") -> str:
    """Give a site's number whatever pod of the aggregator it comes from."""
    return f"max by ({by}) (fedward_aggregator_{series}{{{labels}}})"


_DICE_OF_SITES = _of("site_metric", f'{_SITES},metric="dice"')
_DICE_OF_ALL_SITES = _of("site_metric", f'{_JOB},metric="dice"')


def _doing() -> str:
    """Make a number of each site's state, for a timeline."""
    states = ((number, f'{_SITES},state="{word}"') for number, (word, _) in _DOES.items())
    return " or ".join(f"{_of('site_state', labels)} * {number}" for number, labels in states)


_NOW = Row(
    "Now",
    (
        figure(
            Frame("State", "What the job is doing.", "none", 3, 4),
            Query(f"max by (state) (fedward_aggregator_state{{{_JOB}}}) == 1", "{{state}}"),
            shows="name",
        ),
        figure(
            Frame("Round", "The open round, and how many there will be.", "none", 4, 4),
            Query(f"max(fedward_aggregator_round{{{_JOB}}})", "open"),
            Query(f"max(fedward_aggregator_rounds{{{_JOB}}})", "of"),
        ),
        figure(
            Frame("Updates", "How many have arrived in the open round, and how many may close it.", "none", 4, 4),
            Query(f"max(fedward_aggregator_updates_arrived{{{_JOB}}})", "arrived"),
            Query(f"max(fedward_aggregator_quorum{{{_JOB}}})", "quorum"),
        ),
        figure(
            Frame("Sites attending", "How many attend now, of how many that were asked.", "none", 4, 4),
            Query(f"sum({_of('site_connected', _JOB)})", "attend"),
            Query(f"count({_of('site_connected', _JOB)})", "of"),
        ),
        figure(
            Frame(
                "Dice", "Mean over all sites' cases, of the last model that was evaluated.", "none", 3, 4, decimals=3
            ),
            Query(f'max(fedward_aggregator_metric{{{_JOB},metric="dice"}})'),
        ),
        figure(
            Frame(
                "Served worst", "The site where the model scores lowest, and its Dice there.", "none", 3, 4, decimals=3
            ),
            Query(f"bottomk(1, {_DICE_OF_ALL_SITES})", "{{site}}"),
            shows="value_and_name",
        ),
        figure(
            Frame(
                "Deadline in",
                "When the quorum is enough to close the open round.",
                "s",
                3,
                4,
                empty="No round is open",
                decimals=0,
            ),
            Query(f"(max(fedward_aggregator_round_deadline_timestamp_seconds{{{_JOB}}}) > 0) - time()"),
            steps=((None, RED), (0, GREEN)),
        ),
    ),
)

_LEARNING = Row(
    "Does it learn, and for whom",
    (
        course(
            Frame(
                "Dice of the federation", "Mean over all cases, and the sites in the middle and at the end.", "none", 8
            ),
            Query(f'max(fedward_aggregator_metric{{{_JOB},metric="dice"}})', "mean of all cases"),
            Query(f"quantile(0.5, {_DICE_OF_ALL_SITES})", "median site"),
            Query(f"min({_DICE_OF_ALL_SITES})", "worst site"),
            at_most=1,
        ),
        course(
            Frame("Dice by region", "Mean over all cases, for each region that the task scores.", "none", 8),
            Query(_of("metric", f'{_JOB},metric=~"dice.*"', "metric"), "{{metric}}"),
            at_most=1,
        ),
        course(
            Frame("Dice by site", "Each site's mean over its own held-out cases.", "none", 8),
            Query(_DICE_OF_SITES, "{{site}}"),
            at_most=1,
        ),
        matrix(
            Frame("Dice by site and region", "Of the last model that each site evaluated.", "none", 10, 9, decimals=3),
            Query(_of("site_metric", f'{_SITES},metric=~"dice.*"', "site, metric")),
            "site",
            "metric",
        ),
        ranking(
            Frame("Ten served worst", "The ten sites with the lowest Dice.", "none", 7, 9, decimals=3),
            Query(f"bottomk(10, {_DICE_OF_SITES})", "{{site}}"),
            steps=((None, RED), (0.5, YELLOW), (0.7, GREEN)),
            at_most=1,
        ),
        course(
            Frame(
                "Training loss", "Each site's mean over its last round; never below what its task allows.", "none", 7, 9
            ),
            Query(_of("site_train_loss"), "{{site}}"),
        ),
    ),
)

_TIME = Row(
    "Where the time goes",
    (
        course(
            Frame(
                "A round by stage",
                "What a site's part of the last round consisted of, on average over the sites.",
                "s",
                8,
            ),
            Query(f"avg by (stage) ({_of('site_stage_seconds', _SITES, 'site, stage')})", "{{stage}}"),
            stacked=True,
        ),
        ranking(
            Frame("Slowest sites", "The ten sites that took longest over the last closed round.", "s", 8),
            Query(f"topk(10, sum by (site) ({_of('site_stage_seconds', _SITES, 'site, stage')}))", "{{site}}"),
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
                    f" (fedward_aggregator_round_duration_seconds_bucket{{{_JOB}}}))",
                    legend,
                )
                for share, legend in ((0.5, "half were shorter"), (0.9, "one in ten was longer"))
            ),
            Query(
                "histogram_quantile(0.5, sum by (le)"
                f' (fedward_aggregator_stage_duration_seconds_bucket{{{_JOB},stage="wait"}}))',
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
            Query(f"topk(10, {_of('site_round_lag')})", "{{site}}"),
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
            Query(f"bottomk(20, {_of('site_progress_ratio')})", "{{site}}"),
            at_most=1,
        ),
    ),
)

_SENT = Row(
    "What is sent, and what was refused",
    (
        course(
            Frame("Traffic", "Updates received by the aggregator, models sent by it.", "Bps", 8),
            Query(f"sum(rate(fedward_aggregator_received_bytes_total{{{_JOB}}}[$__rate_interval]))", "received"),
            Query(f"sum(rate(fedward_aggregator_sent_bytes_total{{{_JOB}}}[$__rate_interval]))", "sent"),
        ),
        ranking(
            Frame(
                "Received by site",
                "Bytes of updates since the aggregator started; the ten sites that sent most.",
                "bytes",
                8,
            ),
            Query(f"topk(10, sum by (site) (fedward_aggregator_received_bytes_total{{{_SITES}}}))", "{{site}}"),
        ),
        ranking(
            Frame("Refusals", "By site and reason, since the aggregator started; the ten most frequent.", "none", 8),
            Query(
                f"topk(10, sum by (site, reason) (fedward_aggregator_refusals_total{{{_SITES}}}))"
                ' or on () label_replace(vector(0), "site", "none", "", "")',
                "{{site}} {{reason}}",
            ),
            steps=((None, GREEN), (1, RED)),
        ),
        ranking(
            Frame("Times lost", "How often a site was found silent or gone; the ten most often.", "none", 8),
            Query(
                f"topk(10, sum by (site) (fedward_aggregator_sites_lost_total{{{_SITES}}}))"
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
            Query(f"topk(10, {_of('site_spent_epsilon')})", "{{site}}"),
        ),
        ranking(
            Frame("Weight", "Each site's share in the last aggregate; the ten largest.", "percentunit", 8),
            Query(f"topk(10, {_of('site_weight')})", "{{site}}"),
            steps=NEUTRAL,
            at_most=1,
        ),
    ),
)

_TABLE = Row(
    "Sites",
    (
        listing(
            Frame("Sites", "One line for each site of the job.", "none", 24, 10),
            {"site": "Site"},
            Column("State", f"{_of('site_state', _SITES, 'site, state')} == 1", takes="state"),
            Column("Attends", _of("site_connected"), words=YES_IS_GOOD),
            Column("Last heard", f"time() - ({_of('site_last_seen_timestamp_seconds')} > 0)", "s", decimals=0),
            Column("Rounds behind", _of("site_round_lag")),
            Column("Training cases", _of("site_samples")),
            Column("Cases skipped", _of("site_skipped_cases")),
            Column("Weight", _of("site_weight"), "percentunit"),
            Column("Dice", _DICE_OF_SITES, decimals=3),
            Column("Loss", _of("site_train_loss"), decimals=3),
            Column("Updates", f"sum by (site) (fedward_aggregator_updates_total{{{_SITES}}})"),
            Column("Received", f"sum by (site) (fedward_aggregator_received_bytes_total{{{_SITES}}})", "bytes"),
            Column("Connections", f"sum by (site) (fedward_aggregator_attaches_total{{{_SITES}}})"),
        ),
    ),
)

_AGGREGATOR = Row(
    "Aggregator",
    (
        figure(
            Frame("Attempt", "How often the job was begun; each goes on from the last checkpoint.", "none", 4, 4),
            Query(f"max(fedward_aggregator_attempt{{{_JOB}}})"),
        ),
        figure(
            Frame("Software", "The version that the aggregator runs.", "none", 4, 4),
            Query(f"max by (version) (fedward_aggregator_build_info{{{_JOB}}})", "{{version}}"),
            shows="name",
        ),
        figure(
            Frame("Updates on disk", "Bytes of updates that are kept for the open round.", "bytes", 4, 4),
            Query(f"max(fedward_aggregator_spool_bytes{{{_JOB}}})"),
        ),
        figure(
            Frame("Room", "The share of the volume that is free.", "percentunit", 4, 4),
            Query(
                f"min(fedward_aggregator_volume_free_bytes{{{_JOB}}} / fedward_aggregator_volume_size_bytes{{{_JOB}}})"
            ),
            steps=((None, RED), (0.1, YELLOW), (0.25, GREEN)),
        ),
        figure(
            Frame("Storage full", "Whether the last write found no space.", "none", 4, 4),
            Query(f"max(fedward_aggregator_storage_full{{{_JOB}}})"),
            words={0: ("no", GREEN), 1: ("yes", RED)},
        ),
        figure(
            Frame("Certificate ends in", "Renewed by the operator after two thirds of its life.", "s", 4, 4),
            Query(f"min(fedward_aggregator_certificate_not_after_timestamp_seconds{{{_JOB}}}) - time()"),
            steps=((None, RED), (14 * 86400, YELLOW), (28 * 86400, GREEN)),
        ),
    ),
)


def job() -> str:
    """Write the dashboard."""
    choices = (
        Choice("job_namespace", "Namespace", "fedward_aggregator_round", many=False),
        Choice("job_name", "Job", 'fedward_aggregator_round{job_namespace="$job_namespace"}', many=False),
        Choice("site", "Site", f"fedward_aggregator_site_connected{{{_JOB}}}", many=True),
    )
    return page(
        UID,
        "Fedward / Job",
        "Does the model learn, whom does it serve badly, what does a round spend its time on?",
        choices,
        (_NOW, _LEARNING, _TIME, _SENT, _TABLE, _AGGREGATOR),
        empty="No aggregator runs",
    )
