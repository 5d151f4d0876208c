"""For a hospital: what runs on our GPUs, what has left, how much of the privacy budget is spent."""

from __future__ import annotations

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
    ranking,
)

UID = "fedward-site"
_SITE = 'site=~"$site"'
_JOB = f'{_SITE},job_namespace=~"$job_namespace",job_name=~"$job_name"'
_BY = "job_namespace, job_name"
_NAMED = "{{job_namespace}}/{{job_name}}"
_OPERATOR = 'on (instance) group_left () fedward_operator_build_info{role="site"}'
_NO_NVML = "No GPU that can be asked"
_NO_TRAINER = "No job has been trained yet"
_NOT_SAID = "No trainer says so"


def _trainer(series: str) -> str:
    """Give a number of the trainer of each job that is attended."""
    return (
        f"max by ({_BY}) (fedward_trainer_{series}{{{_JOB}}})"
        f" and on ({_BY}) max by ({_BY}) (fedward_gateway_attending{{{_JOB}}}) == 1"
    )


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
            Query(f"sum(fedward_gateway_attending{{{_JOB}}}) or vector(0)"),
        ),
        figure(
            Frame("GPUs", "How many jobs hold now, and how many the policy allows.", "none", 4, 4),
            Query(f"max(fedward_operator_gpus_used * {_OPERATOR})", "used"),
            Query(f"max(fedward_operator_gpus_allowed * {_OPERATOR})", "allowed"),
        ),
        figure(
            Frame("Refusals, last hour", "What the gateway or the hub refused.", "none", 3, 4),
            Query(f"round(sum(increase(fedward_gateway_refusals_total{{{_SITE}}}[1h]))) or vector(0)"),
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
            Query(f"1 - max(fedward_gateway_spent_epsilon{{{_SITE}}} / fedward_gateway_budget_epsilon{{{_SITE}}})"),
            steps=((None, RED), (0.1, YELLOW), (0.25, GREEN)),
        ),
        figure(
            Frame("Membership ends in", "Renewed at the hub after two thirds of its life.", "s", 4, 4),
            Query(f"min(fedward_operator_membership_not_after_timestamp_seconds * {_OPERATOR}) - time()"),
            steps=((None, RED), (7 * 86400, YELLOW), (10 * 86400, GREEN)),
        ),
    ),
)

_RUNNING = Row(
    "What runs on our machines",
    (
        listing(
            Frame(
                "Jobs",
                "Every job whose work order holds, and what its trainer last said.",
                "none",
                24,
                7,
                empty=_NO_TRAINER,
            ),
            {"job_namespace": "Namespace", "job_name": "Job"},
            Column(
                "Attends",
                f"max by ({_BY}) (fedward_gateway_attending{{{_JOB}}})",
                words={0: ("no", YELLOW), 1: ("yes", GREEN)},
            ),
            Column(
                "Hub",
                f"max by ({_BY}) (fedward_gateway_hub_connected{{{_JOB}}})",
                words={0: ("cut off", YELLOW), 1: ("reached", GREEN)},
            ),
            Column("Stage", f"max by ({_BY}, stage) (fedward_trainer_stage{{{_JOB}}}) == 1", takes="stage"),
            Column("Round", f"max by ({_BY}) (fedward_trainer_round{{{_JOB}}})"),
            Column("Progress", f"max by ({_BY}) (fedward_trainer_progress_ratio{{{_JOB}}})", "percentunit"),
            Column("Loss", f"max by ({_BY}) (fedward_trainer_loss{{{_JOB}}})", decimals=3),
            Column("Cases done", f"max by ({_BY}) (fedward_trainer_cases_total{{{_JOB}}})"),
            Column(
                "Last heard",
                f"time() - max by ({_BY}) (fedward_trainer_last_heard_timestamp_seconds{{{_JOB}}})",
                "s",
                decimals=0,
            ),
            Column("Updates out", f"sum by ({_BY}) (fedward_gateway_released_total{{{_JOB}}})"),
            Column("Bytes out", f'sum by ({_BY}) (fedward_gateway_bytes_total{{{_JOB},direction="up"}})', "bytes"),
        ),
        course(
            Frame("Training loss", "As each trainer last said it.", "none", 8, empty=_NO_TRAINER),
            Query(_trainer("loss"), _NAMED),
        ),
        course(
            Frame("Speed", "Training cases worked through.", "cps", 8, empty=_NOT_SAID),
            Query(_trainer("cases_per_second"), _NAMED),
        ),
        course(
            Frame(
                "Waiting for data",
                "The share of training time that the machine waited for cases to be read: high means slow storage.",
                "percentunit",
                8,
                empty=_NOT_SAID,
            ),
            Query(_trainer("data_wait_ratio"), _NAMED),
            at_most=1,
        ),
        course(
            Frame("GPU load", "How busy each job's GPU is.", "percentunit", 8, empty=_NO_NVML),
            Query(_trainer("gpu_utilisation_ratio"), _NAMED),
            at_most=1,
        ),
        course(
            Frame("GPU memory", "Used by each job, and how much its GPU has.", "bytes", 8, empty=_NO_NVML),
            Query(_trainer("gpu_memory_used_bytes"), f"{_NAMED} used"),
            Query(_trainer("gpu_memory_size_bytes"), f"{_NAMED} size"),
        ),
        course(
            Frame("Dice", "Of the models that were evaluated here, as it was let out.", "none", 8, empty=_NO_TRAINER),
            Query(
                f'max by ({_BY}, metric) (fedward_trainer_metric{{{_JOB},metric=~"dice.*"}})',
                f"{{{{metric}}}} {_NAMED}",
            ),
            at_most=1,
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
                empty=_NO_TRAINER,
            ),
            Query(
                f"sum by (direction) (rate(fedward_gateway_bytes_total{{{_SITE}}}[$__rate_interval]))", "{{direction}}"
            ),
        ),
        ranking(
            Frame(
                "Bytes let out by job",
                "Since the gateway started; the ten jobs that sent most.",
                "bytes",
                8,
                empty=_NO_TRAINER,
            ),
            Query(f'topk(10, sum by ({_BY}) (fedward_gateway_bytes_total{{{_JOB},direction="up"}}))', _NAMED),
        ),
        ranking(
            Frame("Refusals", "By reason, since the gateway started.", "none", 8),
            Query(
                f"topk(10, sum by (reason) (fedward_gateway_refusals_total{{{_SITE}}}))"
                ' or on () label_replace(vector(0), "reason", "none", "", "")',
                "{{reason}}",
            ),
            steps=((None, GREEN), (1, RED)),
        ),
        figure(
            Frame("Updates let out", "Since the gateway started.", "none", 6, 4),
            Query(f"sum(fedward_gateway_released_total{{{_JOB}}}) or vector(0)"),
        ),
        figure(
            Frame("Evaluations let out", "Since the gateway started.", "none", 6, 4),
            Query(f"sum(fedward_gateway_evaluations_total{{{_JOB}}}) or vector(0)"),
        ),
        figure(
            Frame(
                "Lines in the audit log",
                "Written since the gateway started; each says what left, and for whom.",
                "none",
                6,
                4,
            ),
            Query(f"sum(fedward_gateway_audit_entries_total{{{_SITE}}})"),
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
            Query(f"histogram_quantile(0.5, sum by (le) (fedward_gateway_filter_seconds_bucket{{{_SITE}}})) >= 0"),
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
            Query(f"max by (dataset) (fedward_gateway_spent_epsilon{{{_SITE}}})", "{{dataset}}"),
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
                f" (fedward_gateway_spent_epsilon{{{_SITE}}} / fedward_gateway_budget_epsilon{{{_SITE}}})",
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
                f" (fedward_gateway_volume_free_bytes{{{_SITE}}} / fedward_gateway_volume_size_bytes{{{_SITE}}})",
                "{{volume}}",
            ),
            steps=((None, RED), (0.1, YELLOW), (0.25, GREEN)),
            at_most=1,
        ),
        ranking(
            Frame("Broken calls to the hub", "By call, since the gateway started; each is tried again.", "none", 8, 6),
            Query(
                f"sum by (call) (fedward_gateway_calls_failed_total{{{_SITE}}})"
                ' or on () label_replace(vector(0), "call", "none", "", "")',
                "{{call}}",
            ),
            steps=((None, GREEN), (1, YELLOW), (10, RED)),
        ),
        figure(
            Frame("Gateway's certificate ends in", "Renewed with the membership.", "s", 6, 4),
            Query(f"min(fedward_gateway_certificate_not_after_timestamp_seconds{{{_SITE}}}) - time()"),
            steps=((None, RED), (7 * 86400, YELLOW), (10 * 86400, GREEN)),
        ),
        figure(
            Frame("Gateway", "The version that runs.", "none", 6, 4),
            Query(f"max by (version) (fedward_gateway_build_info{{{_SITE}}})", "{{version}}"),
            shows="name",
        ),
        figure(
            Frame("Operator", "The version that runs.", "none", 6, 4),
            Query('max by (version) (fedward_operator_build_info{role="site"})', "{{version}}"),
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
        Choice("job_namespace", "Namespace", f"fedward_gateway_attending{{{_SITE}}}", many=True),
        Choice("job_name", "Job", f'fedward_gateway_attending{{{_SITE},job_namespace=~"$job_namespace"}}', many=True),
    )
    return page(
        UID,
        "Fedward / Site",
        "What runs on our GPUs, what has left, how much of the privacy budget is spent?",
        choices,
        (_NOW, _RUNNING, _LEFT, _BUDGET, _MACHINES),
        empty="Nothing is heard of it",
    )
