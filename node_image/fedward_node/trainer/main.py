"""The trainer's process: takes part in a job, makes a first model, trains a baseline, or looks at a dataset."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

from fedward_node.trainer.algorithm import Algorithm
from fedward_node.trainer.run import Assignment, take_part
from fedward_node.trainer.vitals import Reading
from fedward_protocol import logs, work_order
from fedward_protocol.allocation import keep_chunk_buffers
from fedward_protocol.plan import Data, Plan
from fedward_protocol.reasons import RefusedError

EXIT_REFUSED = 4
"""The site was refused for good, or cannot take part; starting again would not help."""
EXIT_STOPPED = 128 + signal.SIGTERM

_FORMATS: tuple[str, ...] = get_args(Data.model_fields["format"].annotation)

_log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand and return the exit code."""
    chosen = _parser().parse_args(arguments)
    logs.configure("trainer")
    if chosen.command == "inspect":
        return _inspect(chosen)
    keep_chunk_buffers()
    plan = Plan.parse(chosen.plan.read_bytes())
    return _unless_refused(lambda: _carry_out(chosen, plan))


def _carry_out(chosen: argparse.Namespace, plan: Plan) -> int:
    # torch and MONAI take seconds to import, so each subcommand imports what it needs, once its arguments are sound.
    match chosen.command:
        case "initialise":
            from fedward_node.trainer.initialise import initialise

            initialise(plan, chosen.out)
            return 0
        case "baseline":
            from fedward_node.trainer.baseline import baseline

            baseline(plan, dict(chosen.data), dict(chosen.evaluate_on), chosen.epochs, chosen.out)
            return 0
        case "examples":
            from fedward_node.trainer.examples import write_examples

            write_examples(plan, chosen.model, chosen.data, chosen.out, chosen.count)
            return 0
        case _:
            from fedward_node.trainer.algorithms import build, gpu_uuid
            from fedward_node.trainer.gpu import Gpu

            site = work_order.read(chosen.work_order.read_bytes()).site
            assignment = Assignment(plan, chosen.work_order, chosen.state, chosen.gateway, chosen.gateway_ca)
            return run(assignment, build(plan, chosen.data, chosen.state, site), Gpu(gpu_uuid()).read)


def _inspect(chosen: argparse.Namespace) -> int:
    from fedward_node.trainer.inspect import inspect

    found = inspect(chosen.data, chosen.format)
    chosen.report.write_text(found.write())
    sys.stdout.write(found.summary() + "\n")
    return EXIT_REFUSED if found.obstacle else 0


def run(assignment: Assignment, algorithm: Algorithm, gpu: Callable[[], Reading] = Reading) -> int:
    """Take part in a job with any algorithm, until it is finished or SIGTERM comes; return the exit code."""
    return _unless_refused(lambda: asyncio.run(_until_stopped(assignment, algorithm, gpu)))


def _unless_refused(work: Callable[[], int]) -> int:
    try:
        return work()
    except RefusedError as refused:
        _log.error("refused for good: %s", refused, extra={"reason": refused.reason.value})
        return EXIT_REFUSED


async def _until_stopped(assignment: Assignment, algorithm: Algorithm, gpu: Callable[[], Reading]) -> int:
    part = asyncio.create_task(take_part(assignment, algorithm, gpu=gpu))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, part.cancel)
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, part.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await part
        return 0
    _log.info("stopped; starting again goes on from here")
    return EXIT_STOPPED


def _address(text: str) -> str:
    """Read host:port; Kubernetes gives an IPv6 address without the brackets that gRPC wants."""
    host, _, port = text.rpartition(":")
    if not (host and port.isdecimal()):
        raise argparse.ArgumentTypeError(f'"{text}" is no address; write it as host:port')
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fedward-trainer", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    take = commands.add_parser("run", help="take part in a job")
    take.add_argument("--work-order", type=Path, required=True, help="file that holds the signed work order")
    take.add_argument("--data", type=Path, required=True, help="the dataset's folder, read only")
    take.add_argument("--state", type=Path, required=True, help="folder for what is resumed after a crash")
    take.add_argument("--gateway", type=_address, required=True, metavar="HOST:PORT")
    take.add_argument("--gateway-ca", type=Path, required=True, help="PEM of the authority behind the gateway")

    first = commands.add_parser("initialise", help="make a job's first model; needs no data")
    first.add_argument("--out", type=Path, required=True, help="the safetensors file to write")

    compare = commands.add_parser("baseline", help="train without a federation, to compare with")
    compare.add_argument("--data", type=_named_folder, action="append", required=True, metavar="NAME=DIR")
    compare.add_argument("--evaluate-on", type=_named_folder, action="append", default=[], metavar="NAME=DIR")
    compare.add_argument("--epochs", type=int, required=True)
    compare.add_argument("--out", type=Path, required=True, help="the JSON file to write")

    show = commands.add_parser("examples", help="write slices of held-out cases with truth and prediction")
    show.add_argument("--model", type=Path, required=True, help="the safetensors file to predict with")
    show.add_argument("--data", type=Path, required=True, help="the dataset's folder, read only")
    show.add_argument("--count", type=int, default=3, help="how many cases")
    show.add_argument("--out", type=Path, required=True, help="the .npz file to write")

    look = commands.add_parser("inspect", help="count a dataset's cases and what is wrong with them; needs no plan")
    look.add_argument("--data", type=Path, required=True, help="the dataset's folder, read only")
    look.add_argument("--format", default="auto", choices=_FORMATS, help="its layout")
    look.add_argument(
        "--report",
        type=Path,
        default=Path("/dev/termination-log"),
        help="the JSON file to write; by default what Kubernetes shows as the pod's last words",
    )

    for command in (take, first, compare, show):
        command.add_argument("--plan", type=Path, required=True, help="the resolved plan, JSON")
    return parser


def _named_folder(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=DIR")
    return name, Path(folder)
