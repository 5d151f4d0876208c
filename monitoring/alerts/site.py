"""What a hospital's administrator has to be told of."""

from __future__ import annotations

from monitoring.alerts.alert import Alert, newly

_JOB = "on (job_namespace, job_name, site)"
_WHICH = "{{ $labels.job_namespace }}/{{ $labels.job_name }}"
_OPERATOR = 'and on (instance) fedward_operator_build_info{role="site"}'


def _missing(part: str, other: str) -> str:
    """Say in PromQL of which hospital one part is not seen and the other is; of no hospital by name if none is seen."""
    return f"max by (site) ({other}) unless on (site) {part}\n  or on () absent({part})"


ALERTS = (
    Alert(
        "FedwardHubUnreachable",
        f"fedward_operator_hub_connected == 0 {_OPERATOR}",
        10,
        "warning",
        "The hub cannot be reached",
        "The hospital's operator has had no connection to the hub for ten minutes. Check the firewall's "
        "outbound rule and the proxy.",
    ),
    Alert(
        "FedwardGatewayCutOff",
        f"fedward_gateway_hub_connected == 0 and {_JOB} fedward_gateway_attending == 1",
        5,
        "warning",
        f"The trainer of {_WHICH} is cut off from the hub",
        "A trainer attends and the gateway has no connection to the job's aggregator. What is trained "
        "meanwhile is kept and sent later.",
    ),
    Alert(
        "FedwardTrainerStuck",
        # Not by when it was heard: heartbeats go on while the work hangs, and without them it does not attend.
        "changes(fedward_trainer_cases_total[5m]) == 0\n"
        f'  and {_JOB} fedward_trainer_stage{{stage="train"}} == 1\n  and {_JOB} fedward_gateway_attending == 1',
        10,
        "warning",
        f"The trainer of {_WHICH} makes no headway",
        "It attends and is to train, and has worked through no case for a quarter of an hour. It hangs, or its "
        "storage does.",
        window_minutes=5,
    ),
    Alert(
        "FedwardGatewayRefusalsRising",
        # A hub that is away is told of by FedwardGatewayCutOff; trainers try again, so each outage would count here.
        newly('fedward_gateway_refusals_total{reason!="HubUnreachable"}', "job_namespace, job_name, site, reason"),
        0,
        "warning",
        f"The gateway, or the hub, refuses {_WHICH} again and again: {{{{ $labels.reason }}}}",
        "Refused {{ $value }} times within six hours. The audit log has a line of each. No job is named where no work "
        "order could be believed.",
    ),
    Alert(
        "FedwardBudgetNearlySpent",
        "fedward_gateway_spent_epsilon / fedward_gateway_budget_epsilon > 0.9",
        0,
        "warning",
        "The privacy budget of {{ $labels.dataset }} is nearly spent",
        "{{ $value | humanizePercentage }} of it is spent. Once it is, no update that is trained on this "
        "dataset leaves.",
    ),
    Alert(
        "FedwardMembershipExpiring",
        "fedward_operator_membership_not_after_timestamp_seconds - time() < 7 * 86400",
        10,
        "critical",
        "The site's membership ends in {{ $value | humanizeDuration }}",
        "The operator renews it at the hub after two thirds of its life. Once it has ended, the hospital has "
        "to be invited anew.",
    ),
    Alert(
        "FedwardGatewayCertificateExpiring",
        "fedward_gateway_certificate_not_after_timestamp_seconds - time() < 7 * 86400",
        10,
        "critical",
        "The gateway's certificate ends in {{ $value | humanizeDuration }}",
        "The gateway reads the renewed one from its volume. Once this one has ended, no job can be taken part in.",
    ),
    Alert(
        "FedwardGatewayStorageLow",
        "fedward_gateway_volume_free_bytes / fedward_gateway_volume_size_bytes < 0.1",
        5,
        "warning",
        "The gateway's volume {{ $labels.volume }} is nearly full",
        "{{ $value | humanizePercentage }} is left. Once an update or a line of the audit log does not fit, "
        "nothing leaves.",
    ),
    Alert(
        "FedwardPolicyNotReady",
        f"fedward_operator_policy_ready == 0 {_OPERATOR}",
        10,
        "warning",
        "The hospital's SitePolicy is not ready",
        "No new job is admitted. The policy's Ready condition says what is wrong with it or with its data.",
    ),
    Alert(
        "FedwardSiteOperatorStuck",
        "(fedward_operator_queue_age_seconds > 300\n"
        # What a hub that is away cannot be told of is told of by FedwardHubUnreachable.
        '    unless on (instance, kind) (fedward_operator_queue_age_seconds{kind="Mirror"}\n'
        "      and on (instance) fedward_operator_hub_connected == 0)\n"
        f"  or fedward_operator_synced == 0 and fedward_operator_leading == 1) {_OPERATOR}",
        5,
        "warning",
        "The hospital's operator does not get on with its work",
        "Something has been left undone for more than five minutes: it waits, hangs, or fails each time. Or the view "
        "of the cluster is not complete. A trainer that runs goes on.",
    ),
    Alert(
        "FedwardSiteOperatorMissing",
        _missing('fedward_operator_build_info{role="site"}', "fedward_gateway_build_info"),
        5,
        "warning",
        "No metrics of the hospital's operator",
        "It does not run, or Prometheus does not reach it.",
    ),
    Alert(
        "FedwardGatewayMissing",
        _missing("fedward_gateway_build_info", 'fedward_operator_build_info{role="site"}'),
        5,
        "critical",
        "No metrics of the gateway",
        "It does not run, so nothing enters or leaves, or Prometheus does not reach it.",
    ),
)
