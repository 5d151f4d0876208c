"""The trainer's work order on disk, which the hospital's operator renews in place: it is read anew for each call."""

from __future__ import annotations

from pathlib import Path

from fedward_node.trainer.transfer import Metadata
from fedward_node.trainer.verdict import Verdict, judge
from fedward_protocol import work_order
from fedward_protocol.reasons import Reason


class OrderFile:
    """The order as one caller shows it; the session and the transfers, whose calls overlap, have one each.

    Args:
        path: the file that holds the signed order.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._shown = b""

    def show(self) -> Metadata:
        """Return the metadata of a call."""
        self._shown = self._path.read_bytes()
        return ((work_order.METADATA_KEY, self._shown),)

    def judge(self, reason: Reason) -> Verdict:
        """Judge a refusal of the call that showed the order last: one that has expired may have been renewed since."""
        if reason is Reason.WORK_ORDER_EXPIRED and self._path.read_bytes() != self._shown:
            return Verdict.RETRY
        return judge(reason)
