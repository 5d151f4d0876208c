"""An upload over a line that turns out to be slow."""

from __future__ import annotations

from fedward_node.sending import Line
from fedward_protocol.tensors.chunks import CHUNK
from fedward_protocol.tensors.pace import SMALLEST


class SlowCall:
    """A call whose line takes `seconds` for each part."""

    def __init__(self):
        self.now, self.seconds, self.parts = 0.0, 0.0, []

    async def write(self, part):
        self.now += self.seconds
        self.parts.append(part)


async def test_chunks_follow_the_line_and_each_is_counted_before_it_goes():
    call, counted = SlowCall(), []
    line = Line(call, lambda nbytes: counted.append((nbytes, len(call.parts))), lambda: call.now)
    for _ in range(5):
        await line.send(b"quick")
    assert line.size == CHUNK
    call.seconds = 3.0
    for _ in range(5):
        await line.send(b"slow")
    assert line.size == SMALLEST
    assert counted == [(5, number) for number in range(5)] + [(4, number) for number in range(5, 10)]
