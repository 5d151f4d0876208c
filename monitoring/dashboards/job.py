"""For the researcher: does the model learn, whom does it serve badly, what does a round spend its time on."""

from __future__ import annotations

from monitoring.dashboards.job_queries import (
    JOB,
    NO_SCORE,
    PARTS,
    SCORE,
    SCORE_OF_ALL_SITES,
    SCORE_OF_SITES,
    SITES,
    of_site,
)
from monitoring.dashboards.job_rounds import SENT, TIME
from monitoring.dashboards.page import Choice, Row, page
from monitoring.panels import (
    GREEN,
    RED,
    YELLOW,
    YES_IS_GOOD,
    Column,
    Frame,
    Query,
    course,
    figure,
    listing,
    matrix,
    ranking,
)

UID = "fedward-job"

_NOW = Row(
    "Now",
    (
        figure(
            Frame("State", "What the job is doing.", "none", 3, 4),
            Query(f"max by (state) (fedward_aggregator_state{{{JOB}}}) == 1", "{{state}}"),
            shows="name",
        ),
        figure(
            Frame("Round", "The open round, and how many there will be.", "none", 4, 4),
            Query(f"max(fedward_aggregator_round{{{JOB}}})", "open"),
            Query(f"max(fedward_aggregator_rounds{{{JOB}}})", "of"),
        ),
        figure(
            Frame("Updates", "How many have arrived in the open round, and how many may close it.", "none", 4, 4),
            Query(f"max(fedward_aggregator_updates_arrived{{{JOB}}})", "arrived"),
            Query(f"max(fedward_aggregator_quorum{{{JOB}}})", "quorum"),
        ),
        figure(
            Frame("Sites attending", "How many attend now, of how many that were asked.", "none", 4, 4),
            Query(f"sum({of_site('site_connected', JOB)})", "attend"),
            Query(f"count({of_site('site_connected', JOB)})", "of"),
        ),
        figure(
            Frame(
                "Score",
                "Mean over all sites' cases, of the last model that was evaluated; by the metric that the job chooses "
                "its best model by.",
                "none",
                3,
                4,
                empty=NO_SCORE,
                decimals=3,
            ),
            Query(SCORE, "{{metric}}"),
            shows="value_and_name",
        ),
        figure(
            Frame(
                "Served worst",
                "The site where the model scores lowest, and its score there.",
                "none",
                3,
                4,
                empty=NO_SCORE,
                decimals=3,
            ),
            Query(f"bottomk(1, {SCORE_OF_ALL_SITES})", "{{site}}"),
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
            Query(f"(max(fedward_aggregator_round_deadline_timestamp_seconds{{{JOB}}}) > 0) - time()"),
            steps=((None, RED), (0, GREEN)),
        ),
    ),
)

_LEARNING = Row(
    "Does it learn, and for whom",
    (
        course(
            Frame(
                "Score of the federation",
                "Mean over all cases, the best so far, and the sites in the middle and at the end.",
                "none",
                8,
                empty=NO_SCORE,
            ),
            Query(SCORE, "mean of all cases"),
            Query(f"max(fedward_aggregator_best_score{{{JOB}}})", "best mean"),
            Query(f"quantile(0.5, {SCORE_OF_ALL_SITES})", "median site"),
            Query(f"min({SCORE_OF_ALL_SITES})", "worst site"),
            up_to=1,
        ),
        course(
            Frame(
                "Score and its parts",
                "Mean over all cases, of each metric whose name begins as the job's own: of regions, or of classes.",
                "none",
                8,
                empty=NO_SCORE,
            ),
            Query(of_site("metric", f"{JOB},{PARTS}", "metric"), "{{metric}}"),
            up_to=1,
        ),
        course(
            Frame("Score by site", "Each site's mean over its own held-out cases.", "none", 8, empty=NO_SCORE),
            Query(SCORE_OF_SITES, "{{site}}"),
            up_to=1,
        ),
        matrix(
            Frame(
                "Score by site and part",
                "Of the last model that each site evaluated.",
                "none",
                10,
                9,
                empty=NO_SCORE,
                decimals=3,
            ),
            Query(of_site("site_metric", f"{SITES},{PARTS}", "site, metric")),
            "site",
            "metric",
        ),
        ranking(
            Frame("Ten served worst", "The ten sites with the lowest score.", "none", 7, 9, empty=NO_SCORE, decimals=3),
            Query(f"bottomk(10, {SCORE_OF_SITES})", "{{site}}"),
        ),
        course(
            Frame(
                "Training loss", "Each site's mean over its last round; never below what its task allows.", "none", 7, 9
            ),
            Query(of_site("site_train_loss"), "{{site}}"),
        ),
    ),
)

_TABLE = Row(
    "Sites",
    (
        listing(
            Frame("Sites", "One line for each site of the job.", "none", 24, 10),
            {"site": "Site"},
            Column("State", f"{of_site('site_state', SITES, 'site, state')} == 1", takes="state"),
            Column("Attends", of_site("site_connected"), words=YES_IS_GOOD),
            Column("Last heard", f"time() - ({of_site('site_last_seen_timestamp_seconds')} > 0)", "s", decimals=0),
            Column("Rounds behind", of_site("site_round_lag")),
            Column("Training cases", of_site("site_samples")),
            Column("Cases skipped", of_site("site_skipped_cases")),
            Column("Weight", of_site("site_weight"), "percentunit"),
            Column("Score", SCORE_OF_SITES, decimals=3),
            Column("Loss", of_site("site_train_loss"), decimals=3),
            Column("Updates", f"sum by (site) (fedward_aggregator_updates_total{{{SITES}}})"),
            Column("Received", f"sum by (site) (fedward_aggregator_received_bytes_total{{{SITES}}})", "bytes"),
            Column("Connections", f"sum by (site) (fedward_aggregator_attaches_total{{{SITES}}})"),
        ),
    ),
)

_AGGREGATOR = Row(
    "Aggregator",
    (
        figure(
            Frame("Attempt", "How often the job was begun; each goes on from the last checkpoint.", "none", 4, 4),
            Query(f"max(fedward_aggregator_attempt{{{JOB}}})"),
        ),
        figure(
            Frame("Software", "The version that the aggregator runs.", "none", 4, 4),
            Query(f"max by (version) (fedward_aggregator_build_info{{{JOB}}})", "{{version}}"),
            shows="name",
        ),
        figure(
            Frame("Updates on disk", "Bytes of updates that are kept for the open round.", "bytes", 4, 4),
            Query(f"max(fedward_aggregator_spool_bytes{{{JOB}}})"),
        ),
        figure(
            Frame("Room", "The share of the volume that is free.", "percentunit", 4, 4),
            Query(
                f"min(fedward_aggregator_volume_free_bytes{{{JOB}}} / fedward_aggregator_volume_size_bytes{{{JOB}}})"
            ),
            steps=((None, RED), (0.1, YELLOW), (0.25, GREEN)),
        ),
        figure(
            Frame("Storage full", "Whether the last write found no space.", "none", 4, 4),
            Query(f"max(fedward_aggregator_storage_full{{{JOB}}})"),
            words={0: ("no", GREEN), 1: ("yes", RED)},
        ),
        figure(
            Frame("Certificate ends in", "Renewed by the operator after two thirds of its life.", "s", 4, 4),
            Query(f"min(fedward_aggregator_certificate_not_after_timestamp_seconds{{{JOB}}}) - time()"),
            steps=((None, RED), (14 * 86400, YELLOW), (28 * 86400, GREEN)),
        ),
    ),
)


def job() -> str:
    """Write the dashboard."""
    choices = (
        Choice("job_namespace", "Namespace", "fedward_aggregator_round", many=False),
        Choice("job_name", "Job", 'fedward_aggregator_round{job_namespace="$job_namespace"}', many=False),
        Choice("metric", "Metric", f"fedward_aggregator_best_score{{{JOB}}}", many=False),
        Choice("site", "Site", f"fedward_aggregator_site_connected{{{JOB}}}", many=True),
    )
    return page(
        UID,
        "Fedward / Job",
        "Does the model learn, whom does it serve badly, what does a round spend its time on?",
        choices,
        (_NOW, _LEARNING, TIME, SENT, _TABLE, _AGGREGATOR),
        empty="No aggregator runs",
    )
