"""For a hospital: what runs on our GPUs, what has left, how much of the privacy budget is spent."""

from __future__ import annotations

from monitoring.counting import counted
from monitoring.dashboards.page import Choice, Row, page
from monitoring.dashboards.site_queries import BY, JOB, NAMED, NO_TRAINER, SITE
from monitoring.dashboards.site_trainers import RUNNING
from monitoring.panels import GREEN, RED, YELLOW, YES_IS_GOOD, Frame, Query, course, figure, ranking

UID = "fedward-site"
_OPERATOR = f'on (instance) group_left () fedward_operator_build_info{{role="site",{SITE}}}'

_NOW = Row(
    "Now",
    (
        figure(
            Frame("Hub reached", "Whether the hospital's operator has a connection to the hub.", "none", 3, 4),
            Query(f"max(fedward_operator_hub_connected * {_OPERATOR})"),
            words=YES_IS_GOOD,
        ),
        figure(
            Frame("Policy holds", "Whether the SitePolicy makes sense and its data can be read.", "none", 3, 4),
            Query(f"max(fedward_operator_policy_ready * {_OPERATOR})"),
            words=YES_IS_GOOD,
        ),
        figure(
            Frame("Trainers attending", "Jobs that are being trained here now.", "none", 3, 4),
            Query(f"sum(fedward_gateway_attending{{{JOB}}}) or vector(0)"),
        ),
        figure(
            Frame("GPUs", "How many jobs hold now, and how many the policy allows.", "none", 4, 4),
            Query(f"max(fedward_operator_gpus_used * {_OPERATOR})", "used"),
            Query(f"max(fedward_operator_gpus_allowed * {_OPERATOR})", "allowed"),
        ),
        figure(
            Frame("Refusals, last hour", "What the gateway or the hub refused.", "none", 3, 4),
            Query(f"sum({counted(f'fedward_gateway_refusals_total{{{SITE}}}', '1h')}) or vector(0)"),
            steps=((None, GREEN), (1, YELLOW), (5, RED)),
        ),
        figure(
            Frame(
                "Budget left",
                "Of the dataset that has least left.",
                "percentunit",
                4,
                4,
                empty="No limit is set",
            ),
            Query(f"1 - max(fedward_gateway_spent_epsilon{{{SITE}}} / fedward_gateway_budget_epsilon{{{SITE}}})"),
            steps=((None, RED), (0.1, YELLOW), (0.25, GREEN)),
        ),
        figure(
            Frame("Membership ends in", "Renewed at the hub after two thirds of its life.", "s", 4, 4),
            Query(f"min(fedward_operator_membership_not_after_timestamp_seconds * {_OPERATOR}) - time()"),
            steps=((None, RED), (7 * 86400, YELLOW), (10 * 86400, GREEN)),
        ),
    ),
)

_LEFT = Row(
    "What has left the hospital",
    (
        course(
            Frame(
                "Traffic",
                "Through the gateway: updates up to the hub, models down from it.",
                "Bps",
                8,
                empty=NO_TRAINER,
            ),
            Query(
                f"sum by (direction) (rate(fedward_gateway_bytes_total{{{SITE}}}[$__rate_interval]))", "{{direction}}"
            ),
        ),
        ranking(
            Frame(
                "Bytes let out by job",
                "Since the gateway started; the ten jobs that sent most.",
                "bytes",
                8,
                empty=NO_TRAINER,
            ),
            Query(f'topk(10, sum by ({BY}) (fedward_gateway_bytes_total{{{JOB},direction="up"}}))', NAMED),
        ),
        ranking(
            Frame("Refusals", "By reason, since the gateway started.", "none", 8),
            Query(
                f"topk(10, sum by (reason) (fedward_gateway_refusals_total{{{SITE}}}))"
                ' or on () label_replace(vector(0), "reason", "none", "", "")',
                "{{reason}}",
            ),
            steps=((None, GREEN), (1, RED)),
        ),
        figure(
            Frame("Updates let out", "Since the gateway started.", "none", 6, 4),
            Query(f"sum(fedward_gateway_released_total{{{JOB}}}) or vector(0)"),
        ),
        figure(
            Frame("Evaluations let out", "Since the gateway started.", "none", 6, 4),
            Query(f"sum(fedward_gateway_evaluations_total{{{JOB}}}) or vector(0)"),
        ),
        figure(
            Frame(
                "Lines in the audit log",
                "Written since the gateway started; each says what left, and for whom.",
                "none",
                6,
                4,
            ),
            Query(f"sum(fedward_gateway_audit_entries_total{{{SITE}}})"),
        ),
        figure(
            Frame(
                "Time to filter an update",
                "Half of all updates took less to filter and encode.",
                "s",
                6,
                4,
                empty="No update has been filtered",
            ),
            Query(f"histogram_quantile(0.5, sum by (le) (fedward_gateway_filter_seconds_bucket{{{SITE}}})) >= 0"),
        ),
    ),
)

_BUDGET = Row(
    "Privacy budget",
    (
        ranking(
            Frame(
                "ε spent", "By dataset, over all jobs so far.", "none", 12, 6, empty="No private mechanism", decimals=2
            ),
            Query(f"max by (dataset) (fedward_gateway_spent_epsilon{{{SITE}}})", "{{dataset}}"),
        ),
        ranking(
            Frame(
                "Share of the budget spent",
                "By dataset; once it is spent, nothing that is trained on the dataset leaves.",
                "percentunit",
                12,
                6,
                empty="No limit is set",
            ),
            Query(
                "max by (dataset)"
                f" (fedward_gateway_spent_epsilon{{{SITE}}} / fedward_gateway_budget_epsilon{{{SITE}}})",
                "{{dataset}}",
            ),
            steps=((None, GREEN), (0.75, YELLOW), (0.9, RED)),
            at_most=1,
        ),
    ),
)

_MACHINES = Row(
    "The installation",
    (
        ranking(
            Frame("Cases", "In each dataset of the policy, as last counted.", "none", 8, 6),
            Query(f"max by (dataset) (fedward_operator_dataset_cases * {_OPERATOR})", "{{dataset}}"),
        ),
        ranking(
            Frame("Room", "The share of each of the gateway's volumes that is free.", "percentunit", 8, 6),
            Query(
                "min by (volume)"
                f" (fedward_gateway_volume_free_bytes{{{SITE}}} / fedward_gateway_volume_size_bytes{{{SITE}}})",
                "{{volume}}",
            ),
            steps=((None, RED), (0.1, YELLOW), (0.25, GREEN)),
            at_most=1,
        ),
        ranking(
            Frame("Broken calls to the hub", "By call, since the gateway started; each is tried again.", "none", 8, 6),
            Query(
                f"sum by (call) (fedward_gateway_calls_failed_total{{{SITE}}})"
                ' or on () label_replace(vector(0), "call", "none", "", "")',
                "{{call}}",
            ),
            steps=((None, GREEN), (1, YELLOW), (10, RED)),
        ),
        figure(
            Frame("Gateway's certificate ends in", "Renewed with the membership.", "s", 6, 4),
            Query(f"min(fedward_gateway_certificate_not_after_timestamp_seconds{{{SITE}}}) - time()"),
            steps=((None, RED), (7 * 86400, YELLOW), (10 * 86400, GREEN)),
        ),
        figure(
            Frame("Gateway", "The version that runs.", "none", 6, 4),
            Query(f"max by (version) (fedward_gateway_build_info{{{SITE}}})", "{{version}}"),
            shows="name",
        ),
        figure(
            Frame("Operator", "The version that runs.", "none", 6, 4),
            Query(f'max by (version) (fedward_operator_build_info{{role="site",{SITE}}})', "{{version}}"),
            shows="name",
        ),
        figure(
            Frame(
                "Longest wait",
                "How long the object has waited for the operator that has waited longest.",
                "s",
                6,
                4,
                decimals=1,
            ),
            Query(f"max(fedward_operator_queue_age_seconds * {_OPERATOR})"),
            steps=((None, GREEN), (60, YELLOW), (300, RED)),
        ),
    ),
)


def site() -> str:
    """Write the dashboard."""
    choices = (
        Choice("site", "Site", "fedward_gateway_build_info", many=True),
        Choice("job_namespace", "Namespace", f"fedward_gateway_attending{{{SITE}}}", many=True),
        Choice("job_name", "Job", f'fedward_gateway_attending{{{SITE},job_namespace=~"$job_namespace"}}', many=True),
    )
    return page(
        UID,
        "Fedward / Site",
        "What runs on our GPUs, what has left, how much of the privacy budget is spent?",
        choices,
        (_NOW, RUNNING, _LEFT, _BUDGET, _MACHINES),
        empty="Nothing is heard of it",
    )
