"""Builds an image twice from nothing, and tells whether the two are the same."""

from __future__ import annotations

import tempfile
from pathlib import Path

from scripts.images import archive, base, engine
from scripts.images.build import cache, make_archive
from scripts.images.inputs import digest_of_inputs
from scripts.images.parts import PARTS


def differences(name: str, asked_base: str | None = None) -> list[str]:
    """Give a line for each layer that differs, and one if the image does; or say why nothing can be told."""
    builder = engine.find()
    start = base.prepare(builder, asked_base, cache() / "base")
    inputs = digest_of_inputs(PARTS[name], start)
    with tempfile.TemporaryDirectory(dir=cache()) as made:
        paths = [Path(made, f"{count}.tar") for count in (1, 2)]
        for path in paths:
            make_archive(PARTS[name], builder, start, path, fresh=True)
        first, second = (archive.image(path) for path in paths)
    if digest_of_inputs(PARTS[name], start) != inputs:
        return ["what the image is made of has changed meanwhile: nothing can be told, try again"]
    layers = zip(first.layers, second.layers, strict=True)
    lines = [f"layer {count}: {a.digest} and {b.digest}" for count, (a, b) in enumerate(layers, 1) if a != b]
    return lines + ([f"image: {first.digest} and {second.digest}"] if first.digest != second.digest else [])
