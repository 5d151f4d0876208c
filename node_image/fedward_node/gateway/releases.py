"""Filtered updates on disk: made once for each update that a trainer sent, and sent again as they are."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

from pydantic import TypeAdapter

from fedward_node.durable import write_durably
from fedward_node.gateway.accounting import Cost
from fedward_node.gateway.filters import release
from fedward_node.gateway.randomness import Randomness
from fedward_protocol.plan import Encoding, Filter
from fedward_protocol.tensors.layout import Layout
from fedward_protocol.tensors.update import UpdateFile
from fedward_protocol.wire import federation_pb2 as pb


@dataclass(frozen=True, slots=True)
class Source:
    """What a release is made from, and so what it is known by.

    Attributes:
        job: the job's uid.
        attempt: the job's attempt.
        round: the round.
        raw: SHA-256 of the update as the trainer sent it.
        chain: the filters, the plan's first and then the floor.
        encoding: how the release is written.
    """

    job: str
    attempt: int
    round: int
    raw: bytes
    chain: tuple[Filter, ...]
    encoding: Encoding

    def key(self) -> bytes:
        """Return 32 bytes that are the same only for the same source."""
        chain = [rule.model_dump(mode="json") for rule in self.chain]
        facts = [self.job, self.attempt, self.round, self.raw.hex(), chain, self.encoding]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).digest()


@dataclass(frozen=True, slots=True)
class Ready:
    """A release whose file is complete.

    Attributes:
        path: the file; gone once the aggregator has acknowledged it.
        digest: its SHA-256 in hexadecimal.
        nbytes: its length.
        filters: names of the filters that ran, in order.
        cost: what the ledger is to be charged; None where no filter gives a guarantee.
        epsilon: of this update; 0 where there is no guarantee.
        delta: that goes with it.
        meaningful: whether that protects anyone.
        seconds: how long filtering took.
    """

    path: Path
    digest: str
    nbytes: int
    filters: tuple[str, ...]
    cost: Cost | None
    epsilon: float
    delta: float
    meaningful: bool
    seconds: float


_READY = TypeAdapter(Ready)


class Releases:
    """A folder of releases, one folder in it for each job; the last round's only.

    Args:
        folder: where they lie.
        secret: the site's randomness; each source gets its own, so that the same source gives the same bytes.
        observe_seconds: told how long each filtering took.
    """

    def __init__(self, folder: Path, secret: Randomness, observe_seconds: Callable[[float], None]) -> None:
        self._folder = folder
        self._secret = secret
        self._observe_seconds = observe_seconds
        # One thread: filters are bound by the processor, and two at once would double the memory and halve the speed.
        self._filtering = ThreadPoolExecutor(max_workers=1, thread_name_prefix="filters")
        self._making: dict[bytes, asyncio.Task[Ready]] = {}
        self._spools = itertools.count()
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob("*/*.raw"):
            leftover.unlink()

    def find(self, source: Source) -> Ready | None:
        """Return the release of this source, if it was made before."""
        record = self._path(source, ".json")
        return _READY.validate_json(record.read_bytes()) if record.exists() else None

    def receipt(self, source: Source) -> pb.Receipt | None:
        """Return the aggregator's receipt for the release of this source, if there is one."""
        kept = self._path(source, ".receipt")
        return pb.Receipt.FromString(kept.read_bytes()) if kept.exists() else None

    def acknowledge(self, source: Source, receipt: pb.Receipt) -> None:
        """Keep the receipt in the file's place: it will be asked for again, the file will not."""
        write_durably(self._path(source, ".receipt"), receipt.SerializeToString())
        self._path(source, ".safetensors").unlink(missing_ok=True)

    @contextmanager
    def spool(self, source: Source) -> Iterator[Path]:
        """Name a new file for an update that is coming in, and clear away the job's earlier rounds.

        The file stays when the context is left in peace, for `make`; else it goes.
        """
        folder = self._path(source, "").parent
        folder.mkdir(exist_ok=True)
        for path in folder.iterdir():
            if not path.name.startswith(f"{source.attempt}-{source.round}-"):
                path.unlink()
        raw = self._path(source, f".{next(self._spools)}.raw")
        try:
            yield raw
        except BaseException:
            _discard(raw)
            raise

    async def make(self, source: Source, raw: Path, model: Layout) -> Ready:
        """Filter the update in the file `raw`, which is deleted; who asks meanwhile for the same waits for the same.

        Raises:
            RefusedError: FILTER_FAILED, STORAGE_FULL, or the update does not fit the model.
            OSError: the release cannot be kept.
        """
        key = source.key()
        if key not in self._making:
            self._making[key] = asyncio.create_task(self._make(source, raw, model))
            self._making[key].add_done_callback(lambda _: self._making.pop(key))
        else:
            _discard(raw)
        # Shielded: a trainer that goes away does not stop the thread, and comes back to ask for the same.
        return await asyncio.shield(self._making[key])

    def forget(self, job: str) -> None:
        """Delete all that is kept of a job."""
        rmtree(self._folder / _job_folder(job), ignore_errors=True)

    def keep(self, jobs: Collection[str]) -> None:
        """Delete all that is kept of other jobs than these. Made anew from the same update it would be the same."""
        folders = {_job_folder(job) for job in jobs}
        for folder in self._folder.iterdir():
            if folder.name not in folders:
                rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Wait for the filter that runs."""
        self._filtering.shutdown(wait=True)

    async def _make(self, source: Source, raw: Path, model: Layout) -> Ready:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._filtering, self._filter, source, raw, model)

    def _filter(self, source: Source, raw: Path, model: Layout) -> Ready:
        out = self._path(source, ".safetensors")
        try:
            with UpdateFile.open(raw, model) as update:
                made = release(update, model, source.chain, source.encoding, out, self._secret.derive(source.key()))
        finally:
            raw.unlink()
        ready = Ready(
            path=out,
            digest=made.digest.hex(),
            nbytes=made.nbytes,
            filters=made.filters,
            cost=made.cost,
            epsilon=made.epsilon,
            delta=made.delta,
            meaningful=made.is_meaningful,
            seconds=made.seconds,
        )
        write_durably(self._path(source, ".json"), _READY.dump_json(ready))
        self._observe_seconds(made.seconds)
        return ready

    def _path(self, source: Source, suffix: str) -> Path:
        name = f"{source.attempt}-{source.round}-{source.key().hex()[:32]}{suffix}"
        return self._folder / _job_folder(source.job) / name


def _discard(path: Path) -> None:
    path.unlink(missing_ok=True)


def _job_folder(job: str) -> str:
    # The uid comes from the hub, and is therefore not taken as a file's name.
    return hashlib.sha256(job.encode()).hexdigest()[:32]
