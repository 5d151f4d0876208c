"""Example slices as pictures in the page: the scan as a PNG, truth and prediction as outlines that stay sharp."""

from __future__ import annotations

import base64
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedward_cli.report.outlines import outline
from fedward_cli.results import EXAMPLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SITES = 6
_LARGEST = 512
"""Pixels along an edge; what is larger is no slice of a scan."""
DEPTHS = (1, 2, 3)
"""Oedema, core, enhancing tumour, as the trainer writes them."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One slice, `width` x `height` pixels, front of the head up, the patient's right on the left.

    Attributes:
        scan: a PNG as a data address.
        truth, prediction: whole tumour, core and enhancing tumour as SVG paths; empty where there is none.
        dice: of the whole case, mean over regions.
    """

    site: str
    label: str
    scan: str
    truth: tuple[str, ...]
    prediction: tuple[str, ...]
    width: int
    height: int
    aspect: float
    dice: float | None


def read_pictures(out: Path) -> tuple[Picture, ...]:
    """Read `examples/<site>.npz`; a file that cannot be read is left out: the report is worth more than a picture."""
    files = sorted((out / EXAMPLES).glob("*.npz"))[:_SITES]
    if not files:
        return ()
    try:
        import numpy as np
    except ImportError:
        return ()
    pictures: list[Picture] = []
    for path in files:
        try:
            with np.load(path, allow_pickle=False) as arrays:
                pictures += _pictures(path.stem, dict(arrays))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
            continue
    return tuple(pictures)


def _pictures(site: str, arrays: dict[str, NDArray[Any]]) -> list[Picture]:
    return [_picture(site, str(label), index, arrays) for index, label in enumerate(arrays["labels"].tolist())]


def _picture(site: str, label: str, index: int, arrays: dict[str, NDArray[Any]]) -> Picture:
    import numpy as np

    scan, truth, prediction = (_upright(arrays[f"{name}_{index}"]) for name in ("image", "truth", "prediction"))
    if scan.ndim != 2 or scan.shape != truth.shape or scan.shape != prediction.shape or max(scan.shape) > _LARGEST:
        raise ValueError(f"{site}: slices of {scan.shape}, {truth.shape}, {prediction.shape}")
    across, along = (float(value) for value in arrays.get(f"spacing_{index}", np.ones(2))[:2])
    dice = arrays.get(f"dice_{index}")
    height, width = scan.shape
    return Picture(
        site,
        label,
        _png((np.clip(np.nan_to_num(scan), 0, 1) * 255).astype(np.uint8)),
        tuple(outline((truth >= depth).tolist()) for depth in DEPTHS),
        tuple(outline((prediction >= depth).tolist()) for depth in DEPTHS),
        width,
        height,
        max(0.25, min(4.0, width * across / (height * along))),
        None if dice is None else float(dice),
    )


def _upright(values: NDArray[Any]) -> NDArray[Any]:
    """Turn (X right, Y front) into rows from the front, columns from the patient's right, as radiologists look."""
    return values[::-1, ::-1].T


def _png(grey: NDArray[Any]) -> str:
    height, width = grey.shape
    rows = b"".join(b"\0" + row.tobytes() for row in grey)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(png).decode()
