"""Several writes at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any


async def write_all(writes: Sequence[Coroutine[Any, Any, object]]) -> None:
    """Carry out every write, also when one fails; then raise what went wrong first."""
    for result in await asyncio.gather(*writes, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
