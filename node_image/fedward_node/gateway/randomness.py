"""Noise that nobody outside the site can tell from true randomness, and that a restart draws again bit for bit.

A cryptographic generator (AES-256 in counter mode) and not numpy's PCG64: some differences are exactly zero (a frozen
layer, an excluded tensor), so the noise on them leaves in the clear, and from a few hundred outputs of PCG64 its state,
and with it all other noise of the update, could be computed. Counter mode is also as fast, and any range of the stream
can be read on its own, which spares the filters from holding an update in memory.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import os
import secrets
from pathlib import Path
from typing import Self

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

KEY_NBYTES = 32
_WORD_NBYTES = 8
_BLOCK_WORDS = 2
"""Words of 8 bytes in a block of AES."""

Reals = NDArray[np.float64]


class Stream:
    """An endless row of independent 64-bit words; the draw at a position is always the same one."""

    def __init__(self, key: bytes) -> None:
        self._algorithm = algorithms.AES(key)

    def words(self, start: int, stop: int) -> NDArray[np.uint64]:
        """Return the words start…stop."""
        first = start // _BLOCK_WORDS
        zeros = bytes((stop - first * _BLOCK_WORDS) * _WORD_NBYTES)
        cipher = Cipher(self._algorithm, modes.CTR(first.to_bytes(16, "big")))
        return np.frombuffer(cipher.encryptor().update(zeros), "<u8")[start - first * _BLOCK_WORDS :]

    def uniform(self, start: int, stop: int) -> Reals:
        """Return draws start…stop from (0, 1], of 52 bits each."""
        return _uniform(self.words(start, stop))

    def exponential(self, start: int, stop: int) -> Reals:
        """Return draws start…stop of mean 1. The largest possible is 36; one larger had a chance of 2⁻⁵²."""
        draws = self.uniform(start, stop)
        np.log(draws, out=draws)
        return np.negative(draws, out=draws)

    def laplace(self, start: int, stop: int) -> Reals:
        """Return draws start…stop of mean 0 and scale 1: an exponential of the high bits, its sign the lowest bit."""
        words = self.words(start, stop)
        draws = _uniform(words)
        np.log(draws, out=draws)
        return np.copysign(draws, (words & np.uint64(1)).astype(np.float64) - 0.5, out=draws)

    def normal(self, start: int, stop: int) -> Reals:
        """Return draws start…stop of mean 0 and variance 1 (Box & Muller, 1958); none lies beyond 8.5."""
        first = start - start % 2
        pairs = self.uniform(first, stop + stop % 2).reshape(-1, 2)
        radius = np.log(pairs[:, 0])
        radius *= -2
        np.sqrt(radius, out=radius)
        angle = pairs[:, 1] * (2 * math.pi)
        draws = np.empty(2 * radius.size)
        np.multiply(radius, np.cos(angle), out=draws[0::2])
        np.multiply(radius, np.sin(angle, out=angle), out=draws[1::2])
        return draws[start - first : stop - first]


class Randomness:
    """A secret from which streams are derived; who lacks it cannot tell them from true randomness."""

    def __init__(self, key: bytes) -> None:
        """Take a secret of 32 bytes: `fresh` and `kept` make true ones, tests a fixed one."""
        if len(key) != KEY_NBYTES:
            raise ValueError(f"the key has {len(key)} bytes, not {KEY_NBYTES}")
        self._key = key

    @classmethod
    def fresh(cls) -> Self:
        """Draw a secret from the operating system."""
        return cls(secrets.token_bytes(KEY_NBYTES))

    @classmethod
    def kept(cls, path: Path) -> Self:
        """Read the site's secret, or draw it from the operating system and keep it in `path`, mode 0600.

        Raises:
            OSError: the file can be neither read nor written.
            ValueError: the file does not hold 32 bytes.
        """
        if not path.exists():
            unfinished = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
            fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(secrets.token_bytes(KEY_NBYTES))
                file.flush()
                os.fsync(fd)
            try:
                path.hardlink_to(unfinished)  # unlike a rename, never replaces another process's secret
            except FileExistsError:
                pass
            finally:
                unfinished.unlink()
        return cls(path.read_bytes())

    def derive(self, *context: bytes) -> Randomness:
        """Return randomness of its own for a context, such as one release: same context, same draws."""
        framed = b"".join(len(part).to_bytes(8, "big") + part for part in context)
        return Randomness(hmac.digest(self._key, b"derive" + framed, hashlib.sha256))

    def stream(self, label: str) -> Stream:
        """Return the stream of that label."""
        return Stream(hmac.digest(self._key, b"stream" + label.encode(), hashlib.sha256))


def _uniform(words: NDArray[np.uint64]) -> Reals:
    """Make 52 high bits the fraction of a double in [1, 2), which is several times faster than to divide."""
    bits = words >> np.uint64(12)
    bits |= np.uint64(0x3FF0_0000_0000_0000)
    fractions = bits.view(np.float64)
    return np.subtract(2.0, fractions, out=fractions)
