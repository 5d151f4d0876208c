"""The command line: `python -m scripts.images build`, `bundle` and `check`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scripts.images.build import Built, build_all, cache
from scripts.images.bundle import pack
from scripts.images.parts import PARTS
from scripts.images.reproducible import differences


def main() -> int:
    """Do what is asked for."""
    asked = _parser().parse_args()
    try:
        return int(asked.run(asked))
    except FileNotFoundError as missing:
        _say(f"error: {missing}")
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.images", description="Container images of Fedward's parts."
    )
    commands = parser.add_subparsers(required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--base",
        metavar="IMAGE",
        help="what to start from, or mmdebstrap to make it here; by default a public Debian, if a registry answers",
    )
    parts = ", ".join(PARTS)

    build = commands.add_parser("build", parents=[shared], help="build what has changed; print sizes")
    build.add_argument("parts", nargs="*", metavar="PART", help=f"{parts}; all of them where none is named")
    build.add_argument("--fresh", action="store_true", help="build anew, with Debian's newest packages")
    build.set_defaults(run=_build)

    bundle = commands.add_parser("bundle", parents=[shared], help="pack images and charts for a site without internet")
    bundle.add_argument("file", type=Path, help="where to write it: a tar archive")
    bundle.set_defaults(run=_bundle)

    check = commands.add_parser("check", parents=[shared], help="build an image twice and compare the two")
    check.add_argument("part", choices=PARTS)
    check.set_defaults(run=_check)
    return parser


def _build(asked: argparse.Namespace) -> int:
    unknown = sorted(set(asked.parts) - set(PARTS))
    if unknown:
        _say(f"error: no image named {', '.join(unknown)}: there are {', '.join(PARTS)}")
        return 2
    built = build_all(asked.parts or tuple(PARTS), asked.base, fresh=asked.fresh, say=_say)
    sys.stdout.write(_table(built))
    large = [name for name, each in built.items() if each.nbytes > (PARTS[name].limit_mb or each.nbytes) * 1_000_000]
    for name in large:
        _say(f"error: {PARTS[name].image} is larger than the {PARTS[name].limit_mb} MB that it may measure")
    return 1 if large else 0


def _table(built: dict[str, Built]) -> str:
    lines = [f"{'image':<40}{'MB':>8}{'packed':>8}  archive"]
    for each in built.values():
        nbytes, packed = (count / 1_000_000 for count in (each.nbytes, each.packed_nbytes))
        lines.append(f"{each.tag:<40}{nbytes:>8.0f}{packed:>8.0f}  {each.archive(cache())}")
    return "\n".join(lines) + "\n"


def _bundle(asked: argparse.Namespace) -> int:
    pack(build_all(asked_base=asked.base, say=_say), asked.file)
    sys.stdout.write(f"{asked.file}: {asked.file.stat().st_size / 1_000_000:.0f} MB\n")
    return 0


def _check(asked: argparse.Namespace) -> int:
    found = differences(asked.part, asked.base)
    for line in found or [f"fedward-{asked.part}: twice the same"]:
        sys.stdout.write(f"{line}\n")
    return 1 if found else 0


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
