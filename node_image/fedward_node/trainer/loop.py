"""Follows a trainer's instructions: fetch, evaluate, train, take the difference, submit; the latest one wins."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import grpc

from fedward_node.trainer.algorithm import Algorithm, LocalResult, Step, Superseded
from fedward_node.trainer.backoff import Backoff
from fedward_node.trainer.difference import encode_difference
from fedward_node.trainer.session import Instruction, Session
from fedward_node.trainer.state import State
from fedward_node.trainer.transfer import Transfer
from fedward_node.trainer.verdict import Judge, Verdict, judge
from fedward_node.trainer.vitals import Meter
from fedward_protocol import logs, refusals
from fedward_protocol.plan import Encoding
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.repeats import Repeats
from fedward_protocol.wire import federation_pb2 as pb

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Worker:
    """The one thread in which an algorithm runs: torch works for minutes, and heartbeats must go on meanwhile."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="algorithm")

    async def run(self, work: Callable[[], T], superseded: threading.Event) -> T:
        """Run `work` in the thread; when cancelled, set `superseded` and wait until the thread is free again."""
        # In a copy of the context, so that lines which are logged there say of which round they are.
        future = asyncio.get_running_loop().run_in_executor(self._threads, copy_context().run, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            superseded.set()
            await asyncio.wait({future})
            if not future.cancelled():
                future.exception()  # looked at, so that asyncio does not complain: whoever cancelled wants no result
            raise

    def close(self) -> None:
        """Let the thread end once its work is done."""
        self._threads.shutdown(wait=True)


@dataclass(frozen=True, slots=True)
class Part:
    """Whose work this is: the job and attempt, the site, and how its updates are encoded."""

    job: pb.JobRef
    site: str
    encoding: Encoding


class Work:
    """One instruction being followed; the algorithm's `Control`."""

    def __init__(self, round_number: int, report: Callable[[pb.Progress], None], meter: Meter) -> None:
        self.stop = threading.Event()
        self._round = round_number
        self._report = report
        self._meter = meter
        self._loop = asyncio.get_running_loop()

    def progress(self, stage: str, fraction: float, loss: float = math.nan) -> None:
        """Report from any thread how far a stage has come."""
        progress = pb.Progress(round=self._round, stage=stage, fraction=fraction, loss=loss)
        self._loop.call_soon_threadsafe(self._report, progress)

    def stepped(self, step: Step) -> None:
        """Count a step of training."""
        self._meter.stepped(step)

    def superseded(self) -> bool:
        """Tell whether the instruction has been superseded."""
        return self.stop.is_set()


class Loop:
    """Follows the session's instructions until the job is finished."""

    def __init__(
        self,
        part: Part,
        algorithm: Algorithm,
        state: State,
        session: Session,
        transfer: Transfer,
        worker: Worker,
        meter: Meter,
        backoff: Backoff,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        judge_transfer: Judge = judge,
    ) -> None:
        self._part = part
        self._algorithm = algorithm
        self._state = state
        self._session = session
        self._transfer = transfer
        self._worker = worker
        self._meter = meter
        self._backoff = backoff
        self._sleep = sleep
        self._clock = clock
        self._judge_transfer = judge_transfer

    async def run(self) -> None:
        """Follow instructions until `Finish`.

        Raises:
            RefusedError: the site cannot take part any further.
        """
        followed: Instruction | None = None
        following: asyncio.Task[None] | None = None
        try:
            while True:
                instruction = await self._next(following)
                if isinstance(instruction, pb.Finish):
                    _log.info("finished")
                    return
                if instruction == followed and following is not None and not following.done():
                    continue  # said again after a reconnection; what runs is what is wanted
                await _cancel(following)
                followed, following = instruction, asyncio.create_task(self._follow(instruction))
        finally:
            await _cancel(following)

    async def _next(self, following: asyncio.Task[None] | None) -> Instruction:
        """Wait for the next instruction; what fails meanwhile in following the last one is raised."""
        taking = asyncio.create_task(self._session.next())
        try:
            if following is not None:
                await asyncio.wait({taking, following}, return_when=asyncio.FIRST_COMPLETED)
                if following.done():
                    following.result()
            return await taking
        finally:
            taking.cancel()

    async def _follow(self, instruction: Instruction) -> None:
        try:
            match instruction:
                case pb.Train():
                    await self._train(instruction, self._work(instruction.round))
                case pb.Evaluate():
                    work = self._work(instruction.model.round)
                    model, _ = await self._fetch(instruction.model, work)
                    self._session.tell(await self._evaluate(instruction.model, model, work))
                case _:
                    _log.debug("waiting")
                    self._work(0).progress("wait", 0.0)
        except RefusedError as refused:
            if judge(refused.reason) is Verdict.LEAVE:
                raise
            _log.warning("this instruction is lost: %s", refused, extra={"reason": refused.reason.value})

    def _work(self, round_number: int) -> Work:
        return Work(round_number, self._session.report, self._meter)

    async def _train(self, order: pb.Train, work: Work) -> None:
        logs.about(round=order.round)
        _log.info("round begins", extra={"model": order.model.digest.hex()[:12]})
        self._state.tidy(order.round, order.model.digest)
        header = self._state.update(order.round, order.model.digest)
        if header is None:
            header = await self._make_update(order, work)
        # The attempt is today's: after a restart from the same checkpoint the same update is still the right one.
        header.job.CopyFrom(self._part.job)
        work.progress("submit", 0.0)
        path = self._state.update_path(order.round)
        await self._persist(lambda: self._transfer.submit(header, path))

    async def _make_update(self, order: pb.Train, work: Work) -> pb.UpdateHeader:
        model, fetch_s = await self._fetch(order.model, work)
        evaluation = await self._evaluate(order.model, model, work) if order.evaluate else pb.Evaluation()
        started = self._clock()
        trained, path = self._state.trained_path, self._state.update_path(order.round)
        self._state.forget_update(order.round)
        result = await self._in_worker(work, "train", lambda: self._algorithm.train(model, order.round, trained, work))
        train_s = self._clock() - started
        encoding = self._part.encoding
        digest = await self._persist(
            lambda: self._in_worker(work, "train", lambda: encode_difference(path, trained, model, encoding))
        )
        header = pb.UpdateHeader(
            site=self._part.site,
            round=order.round,
            digest=digest.digest,
            nbytes=digest.nbytes,
            model_digest=order.model.digest,
            samples=result.samples,
            report=_report(result, evaluation, fetch_s, train_s),
        )
        self._state.keep_update(header)
        # Not once it is submitted: the hub's next word often comes before the receipt, and ends this task.
        found = {"samples": result.samples, "nbytes": digest.nbytes, "seconds": round(train_s, 3)}
        _log.info("update made", extra=found)
        return header

    async def _fetch(self, model: pb.ModelRef, work: Work) -> tuple[Path, float]:
        """Bring the model here; return where it lies and the seconds that it took."""
        path = self._state.model_path(model.digest)
        started = self._clock()
        work.progress("fetch", 0.0)
        await self._persist(lambda: self._transfer.fetch(self._part.job, model, path))
        return path, self._clock() - started

    async def _evaluate(self, model: pb.ModelRef, path: Path, work: Work) -> pb.Evaluation:
        """Evaluate a model, once: what was measured is kept by the model's digest."""
        kept = self._state.evaluation(model.digest)
        if kept is not None:
            return kept
        started = self._clock()
        metrics = await self._in_worker(work, "evaluate", lambda: self._algorithm.evaluate(path, work))
        evaluation = pb.Evaluation(
            round=model.round,
            model_digest=model.digest,
            metrics={name: pb.MeanMetric(sum=mean.sum, count=mean.count) for name, mean in metrics.items()},
            evaluate_seconds=self._clock() - started,
        )
        self._state.keep_evaluation(evaluation)
        return evaluation

    async def _in_worker(self, work: Work, stage: str, step: Callable[[], T]) -> T:
        work.progress(stage, 0.0)
        try:
            return await self._worker.run(step, work.stop)
        except Superseded as error:
            if work.superseded():
                raise asyncio.CancelledError from error
            raise RuntimeError("the algorithm stopped without being superseded") from error

    async def _persist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Make attempts until one succeeds or is refused for a reason that trying again will not mend."""
        repeats = Repeats()
        for pause in self._backoff():
            try:
                return await attempt()
            except RefusedError as refused:
                if self._judge_transfer(refused.reason) is not Verdict.RETRY:
                    raise
                why = str(refused)
            except grpc.aio.AioRpcError as error:
                answer = refusals.from_rpc_error(error)
                if answer is not None and self._judge_transfer(answer.reason) is not Verdict.RETRY:
                    raise answer from error
                why = error.details() or error.code().name
            except OSError as error:
                why = str(error)
            if repeats.is_news(why):
                _log.warning("trying again: %s", why, extra={"tries": repeats.times})
            await self._sleep(pause)
        raise RefusedError(Reason.HUB_UNREACHABLE, "no more attempts")


def _report(result: LocalResult, evaluation: pb.Evaluation, fetch_s: float, train_s: float) -> pb.UpdateReport:
    return pb.UpdateReport(
        metrics=evaluation.metrics,
        train_loss=result.train_loss,
        fetch_seconds=fetch_s,
        evaluate_seconds=evaluation.evaluate_seconds,
        train_seconds=train_s,
        steps=result.steps,
    )


async def _cancel(task: asyncio.Task[None] | None) -> None:
    """Stop a task and wait until it has; what it failed with no longer matters."""
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
