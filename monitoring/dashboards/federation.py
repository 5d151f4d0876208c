"""For the hub's administrator: is anything wrong, which jobs run, which hospitals are there, does the hub keep up."""

from __future__ import annotations

from monitoring.counting import counted
from monitoring.dashboards.federation_hub import HUB
from monitoring.dashboards.page import Choice, Row, page
from monitoring.panels import (
    GREEN,
    GREY,
    NONE_IS_GOOD,
    RED,
    YELLOW,
    YES_IS_GOOD,
    Column,
    Frame,
    Query,
    course,
    figure,
    listing,
    ranking,
)

UID = "fedward-federation"
_PICKED = 'job_namespace=~"$job_namespace"'
_JOB = "job_namespace, job_name"
_ALERTS = 'ALERTS{alertname=~"Fedward.+",alertstate="firing"}'
_ABOUT = f"alertname, severity, {_JOB}, site, reason"
_UNDER_WAY = 'state=~"WaitingForQuorum|Starting|Training|Aggregating|Evaluating"'
_MOST_JOBS = 50
_OPEN_JOB = (
    "/d/fedward-job?var-datasource=${datasource}&var-job_namespace=${__data.fields.Namespace}"
    "&var-job_name=${__data.fields.Job}&${__url_time_range}"
)


def _of_newest(series: str, *labels: str) -> str:
    """Give a number of each of the newest jobs, by more labels where they are named."""
    by = ", ".join((_JOB, *labels))
    return (
        f"max by ({by}) (fedward_operator_{series}{{{_PICKED}}})"
        f" and on ({_JOB}) topk({_MOST_JOBS}, max by ({_JOB})"
        f" (fedward_operator_job_created_timestamp_seconds{{{_PICKED}}}))"
    )


_PROBLEMS = Row(
    "Problems",
    (
        figure(
            Frame("Alerts", "How many alerts of Fedward fire now.", "none", 3, 4),
            Query(f"count({_ALERTS}) or vector(0)"),
            steps=NONE_IS_GOOD,
        ),
        figure(
            Frame(
                "Sites not heard",
                "Hospitals that were heard before and send no heartbeat now; revoked ones left out.",
                "none",
                3,
                4,
            ),
            Query(
                "count(max by (site) (fedward_operator_site_connected) == 0"
                " and on (site) max by (site) (fedward_operator_site_last_seen_timestamp_seconds)"
                " unless on (site) max by (site) (fedward_operator_site_revoked) == 1) or vector(0)"
            ),
            steps=NONE_IS_GOOD,
        ),
        figure(
            Frame("Failed jobs", "Jobs that have failed and have not been deleted.", "none", 3, 4),
            Query(f'count(max by ({_JOB}) (fedward_operator_job_state{{state="Failed"}}) == 1) or vector(0)'),
            steps=NONE_IS_GOOD,
        ),
        figure(
            Frame("Refusals, last hour", "What aggregators refused, of all sites and for any reason.", "none", 3, 4),
            Query(f"sum({counted('fedward_aggregator_refusals_total', '1h')}) or vector(0)"),
            steps=NONE_IS_GOOD,
        ),
        figure(
            Frame("Sites connected", "Hospitals whose operator is heard now.", "none", 3, 4),
            Query("sum(max by (site) (fedward_operator_site_connected))"),
        ),
        figure(
            Frame("Jobs under way", "Jobs whose aggregator runs, or is being started.", "none", 3, 4),
            Query(f"count(max by ({_JOB}) (fedward_operator_job_state{{{_UNDER_WAY}}}) == 1) or vector(0)"),
        ),
        figure(
            Frame("GPUs offered", "GPUs that the connected hospitals' policies offer.", "none", 3, 4),
            # The hub remembers what a hospital offered that is away.
            Query(
                "sum(max by (site) (fedward_operator_site_gpus)"
                " * on (site) max by (site) (fedward_operator_site_connected))"
            ),
        ),
        figure(
            Frame("Authority ends in", "The certificate under which every other one stands.", "s", 3, 4),
            Query("min(fedward_operator_authority_not_after_timestamp_seconds) - time()"),
            steps=((None, RED), (60 * 86400, YELLOW), (120 * 86400, GREEN)),
        ),
        listing(
            Frame(
                "What is wrong",
                "The alerts that fire, with whom they are about; docs/alerts.md says what to do.",
                "none",
                24,
                6,
                empty="Nothing is wrong",
            ),
            {
                "alertname": "Alert",
                "severity": "Severity",
                "job_namespace": "Namespace",
                "job_name": "Job",
                "site": "Site",
                "reason": "Reason",
            },
            Column(
                "For",
                f'time() - max by ({_ABOUT}) (ALERTS_FOR_STATE{{alertname=~"Fedward.+"}}) and on ({_ABOUT}) {_ALERTS}',
                "s",
                decimals=0,
            ),
        ),
    ),
)

_JOBS = Row(
    "Jobs",
    (
        listing(
            Frame("Jobs", f"The {_MOST_JOBS} newest jobs; a job's name leads to its own dashboard.", "none", 16, 9),
            {"job_namespace": "Namespace", "job_name": "Job"},
            Column("State", _of_newest("job_state", "state"), takes="state"),
            Column("Round", _of_newest("job_round")),
            Column("of", _of_newest("job_rounds")),
            Column("Sites ready", _of_newest("job_sites_ready")),
            Column("wanted", _of_newest("job_sites_wanted")),
            Column("Attempt", _of_newest("job_attempt")),
            Column("Score", _of_newest("job_score"), decimals=3),
            Column("Metric", _of_newest("job_score", "metric"), takes="metric"),
            Column("Age", f"time() - {_of_newest('job_created_timestamp_seconds')}", "s"),
            link=_OPEN_JOB,
        ),
        ranking(
            Frame(
                "Rounds done",
                "How far each job under way has come, as a share of its rounds; the ten least advanced.",
                "percentunit",
                8,
                9,
                empty="No job is under way",
            ),
            Query(
                f"bottomk(10, max by ({_JOB}) (fedward_operator_job_round{{{_PICKED}}})"
                f" / max by ({_JOB}) (fedward_operator_job_rounds{{{_PICKED}}})"
                f" and on ({_JOB}) max by ({_JOB}) (fedward_operator_job_state{{{_PICKED},{_UNDER_WAY}}}) == 1)",
                "{{job_namespace}}/{{job_name}}",
            ),
            at_most=1,
        ),
        course(
            Frame(
                "Updates in the open round",
                "How many updates have arrived, of the ten jobs that have most; back to 0 when a round closes.",
                "none",
                8,
            ),
            Query(
                f"topk(10, max by ({_JOB}) (fedward_aggregator_updates_arrived{{{_PICKED}}}))",
                "{{job_namespace}}/{{job_name}}",
            ),
        ),
        course(
            Frame(
                "Length of a round",
                "From a round's opening to its model: half of all rounds are shorter, one in ten is longer.",
                "s",
                8,
                empty="No round has closed",
            ),
            *(
                Query(
                    f"histogram_quantile({share}, sum by (le)"
                    f" (fedward_aggregator_round_duration_seconds_bucket{{{_PICKED}}}))",
                    legend,
                )
                for share, legend in ((0.5, "half are shorter"), (0.9, "one in ten is longer"))
            ),
        ),
        course(
            Frame(
                "Traffic of the aggregators",
                "Updates received and models sent, of all jobs together.",
                "Bps",
                8,
            ),
            Query(f"sum(rate(fedward_aggregator_received_bytes_total{{{_PICKED}}}[$__rate_interval]))", "received"),
            Query(f"sum(rate(fedward_aggregator_sent_bytes_total{{{_PICKED}}}[$__rate_interval]))", "sent"),
        ),
    ),
)

_SITES = Row(
    "Hospitals",
    (
        listing(
            Frame("Hospitals", "Every hospital that was invited, as its operator was last heard.", "none", 16, 9),
            {"site": "Site"},
            Column("Connected", "max by (site) (fedward_operator_site_connected)", words=YES_IS_GOOD),
            Column(
                "Last heard",
                "time() - (max by (site) (fedward_operator_site_last_seen_timestamp_seconds) > 0)",
                "s",
                decimals=0,
            ),
            Column("GPUs", "max by (site) (fedward_operator_site_gpus)"),
            Column(
                "Revoked", "max by (site) (fedward_operator_site_revoked)", words={0: ("no", GREY), 1: ("yes", RED)}
            ),
            Column("Jobs", f"count by (site) (count by (site, {_JOB}) (fedward_operator_job_site_state))"),
        ),
        course(
            Frame("Hospitals connected", "Whose operators were heard, and how many there are.", "none", 8, 9),
            Query("sum(max by (site) (fedward_operator_site_connected))", "connected"),
            Query("count(max by (site) (fedward_operator_site_connected))", "invited"),
        ),
    ),
)


def federation() -> str:
    """Write the dashboard."""
    choices = (Choice("job_namespace", "Namespace", "fedward_operator_job_state", many=True),)
    return page(
        UID,
        "Fedward / Federation",
        "Is anything wrong, which jobs run, which hospitals are there, does the hub keep up?",
        choices,
        (_PROBLEMS, _JOBS, _SITES, HUB),
        empty="Nothing is heard of it",
    )
