"""What Kubernetes' Events say of a job and of what belongs to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fedward_cli.cluster.doctor_events import in_order, when
from fedward_cli.cluster.kubectl import Object
from fedward_cli.describe.description import Happening
from fedward_operator.checks.printable import printable
from fedward_operator.policy.conditions import read_time

_MOST = 10


def happenings(events: Sequence[Object], belongs: Callable[[str], bool]) -> list[Happening]:
    """Pick the last Events about objects whose names belong, the latest last."""
    ours = [each for each in in_order(events) if belongs((each.get("involvedObject") or {}).get("name", ""))]
    return [
        Happening(
            when=read_time(when(each)),
            type=each.get("type", "Normal"),
            about=f"{each['involvedObject'].get('kind', '').lower()} {each['involvedObject']['name']}",
            reason=each.get("reason", ""),
            message=" ".join(printable(each.get("message", "")).split()),
        )
        for each in ours[-_MOST:]
    ]
