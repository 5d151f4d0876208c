"""Of the federation's dashboard: whether the hub's own operator and disks keep up."""

from __future__ import annotations

from monitoring.dashboards.page import Row
from monitoring.panels import GREEN, RED, YELLOW, YES_IS_GOOD, Frame, Query, course, figure

_OPERATOR = 'on (instance) group_left () fedward_operator_build_info{role="hub"}'

HUB = Row(
    "The hub itself",
    (
        figure(
            Frame("Operator leads", "Whether a replica of the operator holds the Lease.", "none", 4, 4),
            Query(f"max(fedward_operator_leading * {_OPERATOR})"),
            words=YES_IS_GOOD,
        ),
        figure(
            Frame("Operator sees all", "Whether the leader's view of the cluster is complete.", "none", 4, 4),
            Query(f"max(fedward_operator_synced * {_OPERATOR})"),
            words=YES_IS_GOOD,
        ),
        figure(
            Frame("Longest wait", "How long the object has waited that has waited longest.", "s", 4, 4, decimals=1),
            Query(f"max(fedward_operator_queue_age_seconds * {_OPERATOR})"),
            steps=((None, GREEN), (60, YELLOW), (300, RED)),
        ),
        figure(
            Frame(
                "Aggregators' room",
                "The share that is left of the fullest aggregator's volume.",
                "percentunit",
                4,
                4,
            ),
            Query("min(fedward_aggregator_volume_free_bytes / fedward_aggregator_volume_size_bytes)"),
            steps=((None, RED), (0.1, YELLOW), (0.25, GREEN)),
        ),
        figure(
            Frame(
                "Certificates end in",
                "The aggregators' certificate that ends first; each is renewed after two thirds of its life.",
                "s",
                4,
                4,
            ),
            Query("min(fedward_aggregator_certificate_not_after_timestamp_seconds) - time()"),
            steps=((None, RED), (14 * 86400, YELLOW), (28 * 86400, GREEN)),
        ),
        figure(
            Frame("Objects known", "How many objects of the cluster the operator keeps in view.", "none", 4, 4),
            Query(f"sum(fedward_operator_objects_cached * {_OPERATOR})"),
        ),
        course(
            Frame("Reconciliations", "How often the operator has looked at objects, by what came of it.", "cps", 8),
            Query(
                f"sum by (result) (rate(fedward_operator_reconciles_total[$__rate_interval]) * {_OPERATOR})",
                "{{result}}",
            ),
            stacked=True,
        ),
        course(
            Frame("Calls to the API server", "By HTTP status; 0 had no answer.", "reqps", 8),
            Query(
                f"sum by (code) (rate(fedward_operator_api_calls_total[$__rate_interval]) * {_OPERATOR})", "{{code}}"
            ),
            stacked=True,
        ),
        course(
            Frame("Objects waiting", "The length of the operator's queues.", "none", 8),
            Query(f"sum by (kind) (fedward_operator_queue_depth * {_OPERATOR})", "{{kind}}"),
        ),
    ),
)
