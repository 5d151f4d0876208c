"""What of a trainer's messages may leave the hospital: they are rebuilt field by field, so that nothing else does.

The trainer runs the researcher's code. Counts, a stage, a loss and named means are what a job needs; free text and
fields that this version does not know stay here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping

from fedward_node.gateway.vitals import believable, exported
from fedward_protocol.metric_names import MOST_METRICS, is_metric_name
from fedward_protocol.reasons import Reason, RefusedError, describe
from fedward_protocol.versions import SUPPORTED, negotiate
from fedward_protocol.wire import federation_pb2 as pb
from fedward_protocol.work_order import Export

_SOFTWARE = re.compile(r"[A-Za-z0-9 .+_-]{1,64}")
_STAGES = frozenset({"fetch", "evaluate", "train", "submit", "wait"})
_DIGEST_NBYTES = 32


def hello(message: pb.Hello) -> pb.Hello:
    """Rebuild a hello without the plan, with the versions that the gateway speaks too.

    Raises:
        RefusedError: VERSION_UNSUPPORTED; MALFORMED, the software's name is odd.
    """
    negotiate(SUPPORTED, message.versions)
    if not _SOFTWARE.fullmatch(message.software):
        raise RefusedError(Reason.MALFORMED, "the software's name is longer than 64 characters or has odd ones")
    return pb.Hello(
        job=_job(message.job),
        site=message.site,
        versions=pb.VersionRange(
            lowest=max(SUPPORTED.lowest, message.versions.lowest),
            highest=min(SUPPORTED.highest, message.versions.highest),
        ),
        software=message.software,
        training_cases=message.training_cases,
        validation_cases=message.validation_cases,
        skipped_cases=message.skipped_cases,
    )


def progress(message: pb.Progress, exports: Collection[Export]) -> pb.Progress:
    """Rebuild a progress report; the loss to four decimals, of the vitals only what the hospital exports.

    Raises:
        RefusedError: MALFORMED, a stage that there is not, or a fraction that is none.
    """
    if message.stage not in _STAGES or not 0 <= message.fraction <= 1:
        raise RefusedError(Reason.MALFORMED, "a progress report with an unknown stage or an odd fraction")
    loss = round(message.loss, 4) if math.isfinite(message.loss) else math.nan
    return pb.Progress(
        round=message.round,
        stage=message.stage,
        fraction=round(message.fraction, 3),
        loss=loss,
        vitals=exported(believable(message.vitals), exports),
    )


def evaluation(message: pb.Evaluation) -> pb.Evaluation:
    """Rebuild an evaluation.

    Raises:
        RefusedError: BAD_METRICS; MALFORMED, an odd digest or duration.
    """
    _check_digest(message.model_digest)
    return pb.Evaluation(
        round=message.round,
        model_digest=message.model_digest,
        metrics=_metrics(message.metrics),
        evaluate_seconds=_seconds(message.evaluate_seconds),
    )


def failure(message: pb.Refusal) -> pb.Refusal:
    """Rebuild the reason why a site cannot take part; its words, which may name files or patients, stay here.

    Raises:
        RefusedError: MALFORMED, the code is not in the table.
    """
    try:
        reason = Reason(message.reason)
    except ValueError as error:
        raise RefusedError(Reason.MALFORMED, "a failure with an unknown reason") from error
    return pb.Refusal(reason=reason.value, message=describe(reason))


def fetch(message: pb.FetchModelRequest) -> pb.FetchModelRequest:
    """Rebuild a request for a model.

    Raises:
        RefusedError: MALFORMED, an odd digest.
    """
    _check_digest(message.digest)
    accepted = ["zstd"] if "zstd" in message.accept_compression else []
    return pb.FetchModelRequest(
        job=_job(message.job), digest=message.digest, offset=message.offset, accept_compression=accepted
    )


def header(message: pb.UpdateHeader) -> pb.UpdateHeader:
    """Rebuild an update's header, without a release: that is the gateway's to fill in.

    Raises:
        RefusedError: BAD_METRICS; MALFORMED, an odd digest, length or duration.
    """
    _check_digest(message.digest)
    _check_digest(message.model_digest)
    if message.nbytes == 0:
        raise RefusedError(Reason.MALFORMED, "an update without bytes")
    report = message.report
    return pb.UpdateHeader(
        job=_job(message.job),
        site=message.site,
        round=message.round,
        digest=message.digest,
        nbytes=message.nbytes,
        model_digest=message.model_digest,
        samples=message.samples,
        report=pb.UpdateReport(
            metrics=_metrics(report.metrics),
            train_loss=report.train_loss,
            fetch_seconds=_seconds(report.fetch_seconds),
            evaluate_seconds=_seconds(report.evaluate_seconds),
            train_seconds=_seconds(report.train_seconds),
            steps=report.steps,
        ),
    )


def _job(job: pb.JobRef) -> pb.JobRef:
    return pb.JobRef(uid=job.uid, attempt=job.attempt)


def _metrics(metrics: Mapping[str, pb.MeanMetric]) -> dict[str, pb.MeanMetric]:
    if len(metrics) > MOST_METRICS:
        raise RefusedError(Reason.BAD_METRICS, f"{len(metrics)} metrics, {MOST_METRICS} at most")
    for name, mean in metrics.items():
        if not is_metric_name(name) or not math.isfinite(mean.sum):
            raise RefusedError(Reason.BAD_METRICS, "a metric whose name is odd or whose value is not finite")
    return {name: pb.MeanMetric(sum=mean.sum, count=mean.count) for name, mean in metrics.items()}


def _seconds(duration: float) -> float:
    if not (math.isfinite(duration) and duration >= 0):
        raise RefusedError(Reason.MALFORMED, "a duration that is none")
    return duration


def _check_digest(digest: bytes) -> None:
    if len(digest) != _DIGEST_NBYTES:
        raise RefusedError(Reason.MALFORMED, f"a digest of {len(digest)} bytes")
