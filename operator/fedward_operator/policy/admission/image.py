"""Which code: the image that the hospital installed, or one that fits its patterns."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fedward_operator.policy.admission.verdict import Refused


def image_of(asked: str | None, installed: str, patterns: Sequence[str]) -> str | Refused:
    """Return the image to run; in a pattern `*` stands for anything but a slash."""
    if asked is None or asked == installed:
        return installed
    if any(_fits(asked, pattern) for pattern in patterns):
        return asked
    text = f'the site does not run the image "{asked}"; leave spec.image out to run the one that it installed'
    return Refused("ImageNotAllowed", text)


def _fits(image: str, pattern: str) -> bool:
    return re.fullmatch("[^/]*".join(map(re.escape, pattern.split("*"))), image) is not None
