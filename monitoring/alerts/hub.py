"""What the hub's administrator, or the researcher whose job it is, has to be told of."""

from __future__ import annotations

from monitoring.alerts.alert import Alert, newly

_JOB = "on (job_namespace, job_name)"
_WHICH = "{{ $labels.job_namespace }}/{{ $labels.job_name }}"
_UNDER_WAY = "Waiting|Training|Aggregating|Evaluating"
_SITE = "job_namespace, job_name, site"
_LAST_AWAY = (
    f"max_over_time(((max by ({_SITE}) (fedward_aggregator_site_connected) == 0)\n"
    f"    + {_JOB} group_left () max by (job_namespace, job_name) (fedward_aggregator_round))[1d:1m])"
)
"""The round in which a site was seen away last, within a day."""
_BY_METRIC = "max by (job_namespace, job_name, metric)"
_OF_METRIC = "on (job_namespace, job_name, metric)"
_SCALE = f"clamp_min(abs({_BY_METRIC} (fedward_aggregator_best_score)), 1)"
"""How much a difference of the job's own metric counts against: 1 for a share such as Dice, else the best score."""
_OPERATOR = 'and on (instance) fedward_operator_build_info{role="hub"}'

SITES = (
    Alert(
        "FedwardSiteOffline",
        # One that was invited and has never come has no time at which it was heard.
        "max by (site) (fedward_operator_site_connected) == 0\n"
        "  and on (site) fedward_operator_site_last_seen_timestamp_seconds\n"
        "  unless on (site) max by (site) (fedward_operator_site_revoked) == 1",
        10,
        "warning",
        "{{ $labels.site }} is not heard at the hub",
        "The hospital's operator has written no heartbeat for ten minutes. A job that runs goes on there; no "
        "new one starts.",
    ),
    Alert(
        "FedwardSiteLost",
        # Not a site that is Absent: it may wait for its hospital's approval or for the window in which it trains.
        f'max by ({_SITE}) (fedward_aggregator_site_state{{state=~"Lost|Failed"}}) == 1\n'
        f'  and {_JOB} fedward_aggregator_state{{state=~"{_UNDER_WAY}"}} == 1',
        5,
        "warning",
        f"{{{{ $labels.site }}}} has left the job {_WHICH}",
        "No trainer of the site has attended the job for five minutes, and one did before. Rounds close without it "
        "once their deadline has passed.",
    ),
    Alert(
        "FedwardSiteNotCounted",
        f"max by ({_SITE}) (fedward_aggregator_site_round_lag) >= 3\n  and on ({_SITE}) "
        f"fedward_aggregator_site_connected == 1\n  and {_JOB} "
        f'fedward_aggregator_state{{state=~"{_UNDER_WAY}"}} == 1\n'
        # What it missed while it was away does not count: three rounds must have been opened and closed since.
        f"  unless on ({_SITE}) {_LAST_AWAY} + 3\n"
        f"    >= {_JOB} group_left () max by (job_namespace, job_name) (fedward_aggregator_round)",
        0,
        "warning",
        f"Nothing of {{{{ $labels.site }}}} has counted in {_WHICH} for {{{{ $value }}}} rounds",
        "The site attends, and its updates come too late, are refused, or are kept back by its own gateway.",
    ),
    Alert(
        "FedwardQuorumAtRisk",
        "sum by (job_namespace, job_name) (fedward_aggregator_site_connected)\n"
        f"  < {_JOB} max by (job_namespace, job_name) (fedward_aggregator_quorum)\n"
        f'  and {_JOB} fedward_aggregator_state{{state="Training"}} == 1',
        2,
        "critical",
        f"{_WHICH} has fewer sites than its quorum",
        "Only {{ $value }} sites attend, fewer than may close a round. The job waits for them, and fails if "
        "they are lost for good.",
    ),
)
"""About single hospitals."""

JOBS = (
    Alert(
        "FedwardRoundStuck",
        "(time() - fedward_aggregator_round_deadline_timestamp_seconds) > 0\n"
        f"  and {_JOB} fedward_aggregator_round_deadline_timestamp_seconds > 0\n"
        f'  and {_JOB} fedward_aggregator_state{{state=~"{_UNDER_WAY}"}} == 1',
        15,
        "critical",
        f"A round of {_WHICH} is open beyond its deadline",
        "The deadline passed {{ $value | humanizeDuration }} ago and too few updates have arrived to close the round.",
    ),
    Alert(
        "FedwardJobFailingRepeatedly",
        "max by (job_namespace, job_name) (fedward_operator_job_aggregator_failures) >= 2\n"
        f'  unless {_JOB} fedward_operator_job_state{{state=~"Completed|Failed"}} == 1',
        0,
        "warning",
        f"The aggregator of {_WHICH} has failed {{{{ $value }}}} times",
        "Kubernetes starts it again, ever later, and it goes on from its checkpoint. Once it has failed more often "
        "than the job's backoffLimit says, the job fails.",
    ),
    Alert(
        "FedwardJobFailed",
        'max by (job_namespace, job_name) (fedward_operator_job_state{state="Failed"}) == 1\n'
        '  unless max by (job_namespace, job_name) (fedward_operator_job_state{state="Failed"} offset 1h) == 1',
        0,
        "warning",
        f"{_WHICH} has failed",
        "The job's Failed condition says why. This alert ends by itself an hour after the failure.",
    ),
    Alert(
        "FedwardJobNotTracked",
        "max by (job_namespace, job_name) (fedward_operator_job_tracked) == 0",
        30,
        "warning",
        f"{_WHICH} is not logged at the MLflow server that it names",
        "For half an hour the server has not been told all that there is. The job trains all the same; its Tracked "
        "condition says why, and whose log says more.",
    ),
    Alert(
        "FedwardRefusalsRising",
        newly("fedward_aggregator_refusals_total", "job_namespace, job_name, site, reason"),
        0,
        "warning",
        f"{{{{ $labels.site }}}} is refused again and again in {_WHICH}: {{{{ $labels.reason }}}}",
        "Refused {{ $value }} times within six hours. What a site sends in vain, it trains in vain.",
    ),
    Alert(
        "FedwardScoreFalling",
        f"{_BY_METRIC} (fedward_aggregator_best_score) - {_BY_METRIC} (fedward_aggregator_metric)\n"
        f"  > {_OF_METRIC} 0.1 * {_SCALE}",
        10,
        "warning",
        f'{{{{ $labels.metric }}}} of {_WHICH} has fallen by {{{{ $value | printf "%.2f" }}}}',
        "The latest global model is much worse than the best one so far, by the metric that the job chooses it by. The "
        "best one is kept.",
    ),
    Alert(
        "FedwardSiteDiverging",
        f"{_BY_METRIC} (fedward_aggregator_metric) - {_OF_METRIC} group_right ()\n"
        f"  max by ({_SITE}, metric) (fedward_aggregator_site_metric)\n"
        f"  > {_OF_METRIC} group_left () 0.2 * {_SCALE}\n"
        f"  and {_JOB} fedward_aggregator_round >= 5",
        10,
        "warning",
        f"The model of {_WHICH} serves {{{{ $labels.site }}}} badly",
        '{{ $labels.metric }} at this site is {{ $value | printf "%.2f" }} below the federation\'s mean, after five '
        "rounds or more.",
    ),
)
"""About jobs and their models."""

MACHINERY = (
    Alert(
        "FedwardAuthorityExpiring",
        "min(fedward_operator_authority_not_after_timestamp_seconds) - time() < 60 * 86400",
        10,
        "critical",
        "The federation's authority ends in {{ $value | humanizeDuration }}",
        "Every certificate of the federation ends with it. Rotating it takes as long as the slowest hospital "
        "needs to learn of the new one.",
    ),
    Alert(
        "FedwardAggregatorCertificateExpiring",
        "fedward_aggregator_certificate_not_after_timestamp_seconds - time() < 14 * 86400",
        10,
        "warning",
        f"The certificate of {_WHICH} ends in {{{{ $value | humanizeDuration }}}}",
        "The operator renews it after two thirds of its life, which should have happened by now.",
    ),
    Alert(
        "FedwardAggregatorStorageLow",
        "fedward_aggregator_volume_free_bytes / fedward_aggregator_volume_size_bytes < 0.1",
        5,
        "warning",
        f"The volume of {_WHICH} is nearly full",
        "{{ $value | humanizePercentage }} is left. A round needs one update of every site, and the next model.",
    ),
    Alert(
        "FedwardAggregatorStorageFull",
        "fedward_aggregator_storage_full == 1",
        0,
        "critical",
        f"The volume of {_WHICH} is full",
        "The last write found no space, so updates are refused and the round cannot close.",
    ),
    Alert(
        "FedwardHubOperatorStuck",
        "(fedward_operator_queue_age_seconds > 300\n"
        # A job that it may not make right waits on purpose, and says so.
        '  or max by (instance) (fedward_operator_job_condition{reason="OperatorForbidden"}) == 1\n'
        f"  or fedward_operator_synced == 0 and fedward_operator_leading == 1) {_OPERATOR}",
        5,
        "critical",
        "The hub's operator does not get on with its work",
        "Something has been left undone for more than five minutes: it waits, hangs, or fails each time. Or a job "
        "lacks what the operator may not make, or its view of the cluster is not complete. Jobs that run go on.",
    ),
    Alert(
        "FedwardHubOperatorLeaderless",
        f"max(fedward_operator_leading {_OPERATOR}) == 0",
        5,
        "critical",
        "No operator leads at the hub",
        "Replicas run and none holds the Lease. Jobs that run go on; nothing is started, restarted or reported.",
    ),
    Alert(
        "FedwardHubOperatorMissing",
        'absent(fedward_operator_build_info{role="hub"})',
        5,
        "critical",
        "No metrics of the hub's operator",
        "It does not run, or Prometheus does not reach it. Without it most other alerts of the hub cannot fire.",
    ),
    Alert(
        "FedwardAggregatorMissing",
        "max by (job_namespace, job_name)\n"
        '  (fedward_operator_job_state{state=~"WaitingForQuorum|Training|Aggregating|Evaluating"}) == 1\n'
        f"  unless {_JOB} fedward_aggregator_round",
        5,
        "warning",
        f"No metrics of the aggregator of {_WHICH}",
        "The job is under way and Prometheus does not see its aggregator: most often a PodMonitor or a "
        "NetworkPolicy is missing.",
    ),
)
"""About what the hub runs on."""

ALERTS = (*SITES, *JOBS, *MACHINERY)
