"""Which version two ends speak."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.versions import SUPPORTED, VersionRange, negotiate
from fedward_protocol.wire import federation_pb2 as pb

ranges = st.tuples(st.integers(1, 9), st.integers(1, 9)).map(lambda pair: VersionRange(min(pair), max(pair)))


@given(ranges, ranges)
def test_both_ends_come_to_the_highest_version_that_both_speak(ours: VersionRange, theirs: VersionRange) -> None:
    shared = set(range(ours.lowest, ours.highest + 1)) & set(range(theirs.lowest, theirs.highest + 1))
    if shared:
        assert negotiate(ours, theirs) == negotiate(theirs, ours) == max(shared)
    else:
        with pytest.raises(RefusedError) as caught:
            negotiate(ours, theirs)
        assert caught.value.reason is Reason.VERSION_UNSUPPORTED


def test_the_wires_message_is_a_range() -> None:
    assert negotiate(SUPPORTED, pb.VersionRange(lowest=1, highest=7)) == SUPPORTED.highest


def test_an_end_that_names_no_versions_is_refused() -> None:
    with pytest.raises(RefusedError, match="the other end 0 to 0"):
        negotiate(SUPPORTED, pb.VersionRange())
