"""Why something was refused, skipped or has failed: one table for conditions, metrics, logs, the wire and the docs."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """A reason code; `describe` gives its sentence."""

    # who is speaking
    CERTIFICATE_MISSING = "CertificateMissing"
    IDENTITY_MISMATCH = "IdentityMismatch"
    SITE_NOT_IN_PLAN = "SiteNotInPlan"
    SITE_REVOKED = "SiteRevoked"
    VERSION_UNSUPPORTED = "VersionUnsupported"
    WORK_ORDER_MISSING = "WorkOrderMissing"
    WORK_ORDER_MALFORMED = "WorkOrderMalformed"
    WORK_ORDER_FORGED = "WorkOrderForged"
    WORK_ORDER_EXPIRED = "WorkOrderExpired"
    WORK_ORDER_MISMATCH = "WorkOrderMismatch"
    PLAN_MISMATCH = "PlanMismatch"
    PLAN_UNKNOWN = "PlanUnknown"
    # what was sent
    JOB_UNKNOWN = "JobUnknown"
    OLD_ATTEMPT = "OldAttempt"
    WRONG_ROUND = "WrongRound"
    ROUND_CLOSED = "RoundClosed"
    ALREADY_SUBMITTED = "AlreadySubmitted"
    WRONG_MODEL = "WrongModel"
    MODEL_UNKNOWN = "ModelUnknown"
    WRONG_DIGEST = "WrongDigest"
    WRONG_OFFSET = "WrongOffset"
    WRONG_SHAPE = "WrongShape"
    NOT_FINITE = "NotFinite"
    TOO_LARGE = "TooLarge"
    MALFORMED = "Malformed"
    BAD_SAMPLE_COUNT = "BadSampleCount"
    BAD_METRICS = "BadMetrics"
    # what could not be done
    STORAGE_FULL = "StorageFull"
    FILTER_FAILED = "FilterFailed"
    BUDGET_SPENT = "BudgetSpent"
    AUDIT_FAILED = "AuditFailed"
    HUB_UNREACHABLE = "HubUnreachable"
    # what a site could not train on
    DATASET_EMPTY = "DatasetEmpty"
    DATASET_FORMAT_UNKNOWN = "DatasetFormatUnknown"
    LABEL_CONVENTION = "LabelConvention"
    CASE_UNREADABLE = "CaseUnreadable"
    MODALITY_MISSING = "ModalityMissing"
    AFFINE_MISMATCH = "AffineMismatch"
    NETWORK_INVALID = "NetworkInvalid"
    BUNDLE_INVALID = "BundleInvalid"
    TRAINING_FAILED = "TrainingFailed"
    # how a job ends
    QUORUM_LOST = "QuorumLost"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    BACKOFF_LIMIT_EXCEEDED = "BackoffLimitExceeded"
    CANCELLED = "Cancelled"


_SENTENCES: dict[Reason, str] = {
    Reason.CERTIFICATE_MISSING: "the caller showed no certificate of this federation",
    Reason.IDENTITY_MISMATCH: "the certificate names another identity than the one claimed",
    Reason.SITE_NOT_IN_PLAN: "the site is not one of the job's sites",
    Reason.SITE_REVOKED: "the site belongs to the federation no more",
    Reason.VERSION_UNSUPPORTED: "the two ends share no protocol version",
    Reason.WORK_ORDER_MISSING: "the trainer showed no work order",
    Reason.WORK_ORDER_MALFORMED: "the work order cannot be read",
    Reason.WORK_ORDER_FORGED: "the work order's signature is not the site operator's",
    Reason.WORK_ORDER_EXPIRED: "the work order is not valid at this time",
    Reason.WORK_ORDER_MISMATCH: "the work order is for another job, attempt or site",
    Reason.PLAN_MISMATCH: "the plan is not the one that the work order admits",
    Reason.PLAN_UNKNOWN: "the gateway has not seen this job's plan; say hello first",
    Reason.JOB_UNKNOWN: "no such job here",
    Reason.OLD_ATTEMPT: "the job has been restarted since; this belongs to an older attempt",
    Reason.WRONG_ROUND: "the round is not open",
    Reason.ROUND_CLOSED: "the round closed before the update was complete",
    Reason.ALREADY_SUBMITTED: "the site has submitted another update for this round",
    Reason.WRONG_MODEL: "the update was taken against another model than this round's",
    Reason.MODEL_UNKNOWN: "no model with this digest",
    Reason.WRONG_DIGEST: "the bytes do not have the digest that was announced",
    Reason.WRONG_OFFSET: "a chunk does not start where the one before it ended",
    Reason.WRONG_SHAPE: "the tensors' names, shapes or encodings are not the model's",
    Reason.NOT_FINITE: "the update holds NaN or infinity",
    Reason.TOO_LARGE: "the update is larger than one of this model can be",
    Reason.MALFORMED: "the message or file cannot be read",
    Reason.BAD_SAMPLE_COUNT: "the sample count is zero or above what the site announced",
    Reason.BAD_METRICS: "the metrics are too many, badly named or not finite",
    Reason.STORAGE_FULL: "no space left to store it; free space and it goes on",
    Reason.FILTER_FAILED: "a privacy filter could not do its work, so nothing was let out",
    Reason.BUDGET_SPENT: "the dataset's privacy budget is spent",
    Reason.AUDIT_FAILED: "the audit log could not be written, so nothing was let out",
    Reason.HUB_UNREACHABLE: "the gateway cannot reach the aggregator",
    Reason.DATASET_EMPTY: "the dataset has no usable training case",
    Reason.DATASET_FORMAT_UNKNOWN: "the folder's layout is none that is known",
    Reason.LABEL_CONVENTION: "the labels found do not fit the label convention",
    Reason.CASE_UNREADABLE: "a case could not be read",
    Reason.MODALITY_MISSING: "a case lacks a modality that the job asks for",
    Reason.AFFINE_MISMATCH: "a case's volumes do not lie on one grid",
    Reason.NETWORK_INVALID: "the network cannot be built",
    Reason.BUNDLE_INVALID: "the MONAI bundle cannot be run",
    Reason.TRAINING_FAILED: "local training failed",
    Reason.QUORUM_LOST: "too few sites are left to reach the quorum",
    Reason.DEADLINE_EXCEEDED: "the job ran longer than activeDeadlineSeconds",
    Reason.BACKOFF_LIMIT_EXCEEDED: "a process failed more often than backoffLimit allows",
    Reason.CANCELLED: "the job was cancelled",
}


def describe(reason: Reason) -> str:
    """Give the sentence for a reason, lower case and without a full stop, to be completed by the particulars."""
    return _SENTENCES[reason]


class RefusedError(Exception):
    """Something was refused for a `reason`; `detail` adds the particulars, never patient data.

    Attributes:
        reason: the code from the table.
        detail: what exactly was wrong, and what to do; may be empty.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{describe(reason)}: {detail}" if detail else describe(reason))
