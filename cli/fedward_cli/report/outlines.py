"""The border of a region in a slice as an SVG path along the edges of its pixels: sharp at every size."""

from __future__ import annotations

from collections.abc import Sequence

_Corner = tuple[int, int]


def outline(mask: Sequence[Sequence[bool]]) -> str:
    """Trace a mask given as rows; the path closes around every part and every hole, in units of pixels.

    Holes run the other way round, so both of SVG's fill rules leave them empty. An empty mask gives "".
    """
    onward = _edges(mask)
    loops = []
    while onward:
        start = next(iter(onward))
        loop, corner = [start], onward[start].pop()
        while corner != start:
            loop.append(corner)
            corner = onward[corner].pop()
        for passed in loop:
            if not onward.get(passed, True):
                del onward[passed]
        loops.append("M" + "L".join(f"{x} {y}" for x, y in _bends(loop)) + "z")
    return "".join(loops)


def _edges(mask: Sequence[Sequence[bool]]) -> dict[_Corner, list[_Corner]]:
    """Give the directed edges between inside and outside, the inside on their right, by where they begin."""
    height, width = len(mask), len(mask[0]) if mask else 0

    def inside(x: int, y: int) -> bool:
        return 0 <= x < width and 0 <= y < height and bool(mask[y][x])

    onward: dict[_Corner, list[_Corner]] = {}
    for y in range(height):
        for x in range(width):
            if not mask[y][x]:
                continue
            corners = ((x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1))
            beyond = ((x, y - 1), (x + 1, y), (x, y + 1), (x - 1, y))
            for side in range(4):
                if not inside(*beyond[side]):
                    onward.setdefault(corners[side], []).append(corners[(side + 1) % 4])
    return onward


def _bends(loop: Sequence[_Corner]) -> list[_Corner]:
    """Leave out the corners on a straight way."""
    return [
        here
        for before, here, after in zip([loop[-1], *loop[:-1]], loop, [*loop[1:], loop[0]], strict=True)
        if (before[0] == here[0]) != (here[0] == after[0])
    ]
