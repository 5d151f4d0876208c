"""A filter that cannot do its work lets nothing out and leaves no file."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from fedward_node.gateway.filters import release
from fedward_node.gateway.randomness import Randomness
from fedward_protocol.plan import Exclude, Filter, Frozen, GaussianNoise, NormClip, Percentile, SparseVector
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.tensors.layout import Layout, TensorSpec
from fedward_protocol.tensors.update import UpdateFile, encode_update

MODEL = Layout.of([TensorSpec("conv.weight", "F32", (50_000,)), TensorSpec("norm.bias", "F32", (7,))])

FILTERS: dict[str, Filter] = {
    "normClip": NormClip(name="normClip", max_norm=1.0),
    "percentile": Percentile(name="percentile", keep=0.4),
    "svt": SparseVector(name="svt"),
    "gaussianNoise": GaussianNoise(name="gaussianNoise", max_norm=1.0, multiplier=1.0),
    "exclude": Exclude(name="exclude", tensors=("norm.*",)),
}


class Source:
    """Ones, with one value in one place; or an error in place of a read."""

    def __init__(self, odd: float = 1.0, fails_at_read: int = 0) -> None:
        self._odd, self._fails_at_read, self._reads = odd, fails_at_read, 0

    def read(self, name: str, start: int, stop: int) -> NDArray[np.float32]:
        self._reads += 1
        if self._reads == self._fails_at_read:
            raise OSError(5, "the disk gave up")
        block = np.ones(stop - start, np.float32)
        if name == "conv.weight":
            block[123] = self._odd
        return block


def refusal(source: object, chain: list[Filter], out: Path, **options: object) -> RefusedError:
    """Release, expect a refusal and an untidied nothing: neither the file nor its unfinished part."""
    out.write_bytes(b"left over from before")
    with pytest.raises(RefusedError) as refused:
        release(
            cast(UpdateFile, source),
            MODEL,
            chain,
            options.get("encoding", "fp32"),
            out,
            Randomness(bytes(32)),  # type: ignore[arg-type]
        )
    assert list(out.parent.iterdir()) == []
    return refused.value


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_no_number_stops_the_update(name: str, odd: float, tmp_path: Path) -> None:
    refused = refusal(Source(odd), [FILTERS[name]], tmp_path / "out")
    assert refused.reason is Reason.FILTER_FAILED
    assert "conv.weight" in refused.detail


def test_nan_is_not_hidden_by_a_filter_that_would_zero_it(tmp_path: Path) -> None:
    hiding: list[Filter] = [Percentile(name="percentile", keep=0.001), Exclude(name="exclude", tensors=("conv.*",))]
    assert refusal(Source(np.nan), hiding, tmp_path / "out").reason is Reason.FILTER_FAILED


def test_nan_stops_an_update_without_filters_too(tmp_path: Path) -> None:
    assert refusal(Source(np.nan), [], tmp_path / "out").reason is Reason.FILTER_FAILED


@pytest.mark.parametrize("name", FILTERS)
def test_a_read_that_fails_in_any_pass_stops_the_update(name: str, tmp_path: Path) -> None:
    class Counting(Source):
        def read(self, name: str, start: int, stop: int) -> NDArray[np.float32]:
            values = super().read(name, start, stop)
            self.total = self._reads
            return values

    counting = Counting()
    release(cast(UpdateFile, counting), MODEL, [FILTERS[name]], "fp32", tmp_path / "out", Randomness(bytes(32)))
    for number in range(1, counting.total + 1):
        refused = refusal(Source(fails_at_read=number), [FILTERS[name]], tmp_path / "out")
        assert refused.reason is Reason.FILTER_FAILED


@contextmanager
def _full_disk(nbytes: int) -> Iterator[None]:
    """Let no file grow beyond `nbytes`."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("room", [100, 150_000])
def test_a_full_disk_stops_the_update_and_says_so(name: str, room: int, tmp_path: Path) -> None:
    with _full_disk(room):
        refused = refusal(Source(), [FILTERS[name]], tmp_path / "out")
    assert refused.reason is Reason.STORAGE_FULL


@pytest.mark.parametrize(
    "absurd",
    [
        GaussianNoise(name="gaussianNoise", max_norm=1e300, multiplier=1e300),
        GaussianNoise(name="gaussianNoise", max_norm=1.0, multiplier=1e39),
        GaussianNoise(name="gaussianNoise", max_norm=1.0, multiplier=1e-300),
        SparseVector(name="svt", clip=1e308, epsilon1=1e-300),
        SparseVector(name="svt", epsilon2=1e308),
        SparseVector(name="svt", clip=1e300),
    ],
)
def test_parameters_beyond_arithmetic_stop_the_update(absurd: Filter, tmp_path: Path) -> None:
    assert refusal(Source(), [absurd], tmp_path / "out").reason is Reason.FILTER_FAILED


def test_noise_that_overflows_a_narrow_encoding_never_leaves_as_infinity(tmp_path: Path) -> None:
    rule = GaussianNoise(name="gaussianNoise", max_norm=1.0, multiplier=1e6)
    assert refusal(Source(), [rule], tmp_path / "out", encoding="fp16").reason is Reason.FILTER_FAILED


def test_a_pattern_that_matches_nothing_stops_the_update(tmp_path: Path) -> None:
    rule = Exclude(name="exclude", tensors=("norm.*", "nrom.*"))
    refused = refusal(Source(), [rule], tmp_path / "out")
    assert refused.reason is Reason.FILTER_FAILED
    assert "nrom.*" in refused.detail


class Unknown(Frozen):
    name: str = "pixelate"


def test_a_filter_that_is_not_known_stops_the_update(tmp_path: Path) -> None:
    assert refusal(Source(), [cast(Filter, Unknown())], tmp_path / "out").reason is Reason.FILTER_FAILED


@pytest.mark.parametrize("keep", [0.0, -1.0, 2.0, float("nan")])
@pytest.mark.parametrize("kind", [Percentile, SparseVector])
def test_a_share_that_escaped_validation_stops_the_update(keep: float, kind: type[Percentile], tmp_path: Path) -> None:
    rule = FILTERS["percentile" if kind is Percentile else "svt"].model_copy(update={"keep": keep})
    assert refusal(Source(), [rule], tmp_path / "out").reason is Reason.FILTER_FAILED


def test_an_interrupt_leaves_no_file_either(tmp_path: Path) -> None:
    class Interrupted(Source):
        def read(self, name: str, start: int, stop: int) -> NDArray[np.float32]:
            if self._reads:
                raise KeyboardInterrupt
            return super().read(name, start, stop)

    with pytest.raises(KeyboardInterrupt):
        release(cast(UpdateFile, Interrupted()), MODEL, [], "fp32", tmp_path / "out", Randomness(bytes(32)))
    assert list(tmp_path.iterdir()) == []


def test_the_raw_update_is_left_as_it_was(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    encode_update(raw, Source(), MODEL, "fp32")
    before = raw.read_bytes()
    with UpdateFile.open(raw, MODEL) as update:
        release(update, MODEL, list(FILTERS.values()), "sparse", tmp_path / "out", Randomness.fresh())
    assert raw.read_bytes() == before
