"""A trainer's presence at its gateway: it attends, reconnects for ever, and keeps the latest instruction."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable

import grpc

from fedward_node.trainer.backoff import Backoff
from fedward_node.trainer.verdict import Judge, Verdict, judge
from fedward_protocol import refusals, tls
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.repeats import Repeats
from fedward_protocol.wire import federation_pb2 as pb

SILENCE_S = 8.0
"""A gateway that says nothing for so long is taken for lost; it speaks every two seconds."""
FAREWELL_S = 5.0
"""How long the last words may take to be heard before the stream is cut."""

_log = logging.getLogger(__name__)

Instruction = pb.Train | pb.Evaluate | pb.Wait | pb.Finish
AttendCall = grpc.aio.StreamStreamCall[pb.SiteMessage, pb.HubMessage]


class Session:
    """Keeps one `Attend` stream alive.

    Args:
        attend: starts a call; it is asked again at each reconnection, so it may show a renewed work order.
        hello: the first message of each stream.
        vitals: says how it goes in a stage; asked each time that something is said of the stage.
        backoff: pauses between reconnections.
        sleep: waits so many seconds.
        silence_s: seconds without a word after which the stream is given up.
        judge: decides what a refusal means.
    """

    def __init__(
        self,
        attend: Callable[[], AttendCall],
        hello: pb.Hello,
        vitals: Callable[[str], pb.Vitals],
        backoff: Backoff,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        silence_s: float = SILENCE_S,
        judge: Judge = judge,
    ) -> None:
        self._attend = attend
        self._hello = hello
        self._vitals = vitals
        self._backoff = backoff
        self._sleep = sleep
        self._silence_s = silence_s
        self._judge = judge
        self._instruction: Instruction | None = None
        self._instructed = asyncio.Event()
        self._outbox: deque[pb.SiteMessage] = deque()
        self._progress: pb.Progress | None = None
        self._is_new = False
        self._to_say = asyncio.Event()
        self._leaving = False
        self._left = False
        self._welcomed = False
        self._repeats = Repeats()

    async def next(self) -> Instruction:
        """Wait for an instruction that was not taken yet; of several, the latest is the one that counts."""
        await self._instructed.wait()
        self._instructed.clear()
        if self._instruction is None:
            raise AssertionError("an instruction was announced and is not there")
        return self._instruction

    def tell(self, evaluation: pb.Evaluation) -> None:
        """Send an evaluation. If the stream breaks first it is lost: the hub will ask again at the next one."""
        self._outbox.append(pb.SiteMessage(evaluation=evaluation))
        self._to_say.set()

    def report(self, progress: pb.Progress) -> None:
        """Say what the trainer is doing: a new stage at once, else in place of the next heartbeat."""
        before, self._progress = self._progress, progress
        if before is None or progress.stage != before.stage:
            self._is_new = True
            self._to_say.set()

    def leave(self, refused: RefusedError) -> None:
        """Say that this site cannot take part any further; `run` returns once it was said."""
        self._outbox.append(pb.SiteMessage(failure=refusals.to_message(refused)))
        self._leaving = True
        self._to_say.set()

    async def run(self) -> None:
        """Attend until cancelled, or until the last words were said.

        Raises:
            RefusedError: the site was refused for good.
        """
        pauses = self._backoff()
        while not self._left:
            call = self._attend()
            self._welcomed = False
            try:
                await self._attendance(call)
                _log.info("the gateway closed the stream")
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError, TimeoutError) as error:
                self._raise_if_final(
                    refusals.from_rpc_error(error) if isinstance(error, grpc.aio.AioRpcError) else None
                )
                if self._repeats.is_news(what := _what(error)):
                    _log.warning("not attending: %s", what, extra={"tries": self._repeats.times})
            finally:
                call.cancel()
            if self._welcomed:
                pauses = self._backoff()
            if not self._left:
                await self._sleep(next(pauses))

    async def _attendance(self, call: AttendCall) -> None:
        """Attend once, until the stream ends."""
        await call.write(pb.SiteMessage(hello=self._hello))
        message = await self._read(call)
        if message is None:
            return None
        if message.WhichOneof("body") == "abort":
            return self._aborted(message.abort)
        if message.WhichOneof("body") != "welcome":
            raise RefusedError(Reason.MALFORMED, "the first message of the stream is not a welcome")
        self._welcomed = True
        self._repeats.over()
        _log.info("attending", extra={"version": message.welcome.version, "attempt": message.welcome.attempt})
        if not self._leaving:
            self._outbox.clear()
        speaking = asyncio.create_task(self._speak(call, message.welcome.heartbeat_seconds))
        listening = asyncio.create_task(self._listen(call))
        try:
            await asyncio.wait({speaking, listening}, return_when=asyncio.FIRST_COMPLETED)
            if speaking.done():
                speaking.result()
            if self._left:
                await asyncio.wait({listening}, timeout=FAREWELL_S)
                return None
            return await listening
        finally:
            speaking.cancel()
            listening.cancel()
            await asyncio.gather(speaking, listening, return_exceptions=True)

    async def _listen(self, call: AttendCall) -> None:
        while (message := await self._read(call)) is not None:
            match message.WhichOneof("body"):
                case "train":
                    self._instruct(message.train)
                case "evaluate":
                    self._instruct(message.evaluate)
                case "wait":
                    self._instruct(message.wait)
                case "finish":
                    self._instruct(message.finish)
                case "abort":
                    return self._aborted(message.abort)
                case _:
                    pass  # heartbeats, and what a newer hub may say
        return None

    async def _read(self, call: AttendCall) -> pb.HubMessage | None:
        async with asyncio.timeout(self._silence_s):
            message = await call.read()
        return message if isinstance(message, pb.HubMessage) else None

    def _instruct(self, instruction: Instruction) -> None:
        self._instruction = instruction
        self._instructed.set()

    async def _speak(self, call: AttendCall, heartbeat_s: float) -> None:
        """Send what there is to say, and a heartbeat when there was nothing for so long."""
        with contextlib.suppress(asyncio.InvalidStateError):  # the stream is over; the listener learns why
            while not self._left:
                try:
                    async with asyncio.timeout(heartbeat_s):
                        await self._to_say.wait()
                except TimeoutError:
                    await self._say_how_it_goes(call)
                self._to_say.clear()
                await self._say(call)

    async def _say_how_it_goes(self, call: AttendCall) -> None:
        """Give a sign of life: the stage, also where it has come no further, as the vitals have; or a heartbeat."""
        self._is_new = False
        if self._progress is None:
            await call.write(pb.SiteMessage(heartbeat=pb.Heartbeat()))
            return
        progress = pb.Progress()
        progress.CopyFrom(self._progress)
        progress.vitals.CopyFrom(self._vitals(progress.stage))
        await call.write(pb.SiteMessage(progress=progress))

    async def _say(self, call: AttendCall) -> None:
        if self._is_new:
            await self._say_how_it_goes(call)
        while self._outbox:
            await call.write(self._outbox[0])
            self._outbox.popleft()
        if self._leaving:
            await call.done_writing()
            self._left = True

    def _aborted(self, refusal: pb.Refusal) -> None:
        """Take the hub's abort: transient ones end this stream only.

        Raises:
            RefusedError: it is for good.
        """
        refused = refusals.from_message(refusal)
        self._raise_if_final(refused)
        _log.warning("the hub ended the stream: %s", refused)

    def _raise_if_final(self, refused: RefusedError | None) -> None:
        if refused is not None and self._judge(refused.reason) is Verdict.LEAVE:
            raise refused


def _what(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "the gateway said nothing"
    return (
        tls.explained(error.details() or error.code().name) if isinstance(error, grpc.aio.AioRpcError) else str(error)
    )
