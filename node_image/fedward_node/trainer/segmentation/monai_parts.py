"""The parts of MONAI that the built-in task uses, imported without the packages that only other parts use.

Importing any part of MONAI imports all of it, and with it every optional package that is installed: 12 s of CPU and
850 MB in each trainer. Without the ones below it is 7 s and 610 MB. Bundles may use anything, so they never come here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_UNUSED = ("ignite", "pandas", "sklearn", "tensorboard", "tensorboardX", "mlflow")


@contextmanager
def _hidden(packages: tuple[str, ...]) -> Iterator[None]:
    # None in sys.modules makes an import fail as if the package were missing, which MONAI copes with.
    absent = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


with _hidden(_UNUSED):
    from monai.inferers.utils import sliding_window_inference
    from monai.losses.dice import DiceFocalLoss, DiceLoss
    from monai.networks import nets

__all__ = ["DiceFocalLoss", "DiceLoss", "nets", "sliding_window_inference"]
