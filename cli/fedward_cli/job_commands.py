"""The commands about jobs and sites: `watch`, `describe`, `logs`, `report`, `sites`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedward_cli.exits import FAILED, reject
from fedward_cli.output import Format, Output, show, shown_next

# Everything else is imported where it is used, so that `fedward --help` answers at once.
if TYPE_CHECKING:
    from fedward_cli.progress.view import View

Job = Annotated[str, typer.Argument(metavar="JOB", help="A job's name, or the --out folder of a local run.")]
JobNamespace = Annotated[
    str | None, typer.Option("--namespace", "-n", help="The job's namespace; kubectl's own if left out.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    for each in (watch, describe, logs, report, sites):
        app.command()(each)


def sites(
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Of the jobs shown, for those who may not list all of them.")
    ] = None,
    output: Output = Format.TEXT,
) -> None:
    """Show who is in the federation, at the hub: connected, version, GPUs, datasets, and what each works on."""
    from fedward_cli.cluster.sites import look

    found = look(namespace)
    show(output, found.document, lambda: found.text(_now()))


def watch(context: typer.Context, job: Job, namespace: JobNamespace = None, output: Output = Format.TEXT) -> None:
    """Show a job as it goes, until it ends: 0 if it completed, 1 if it failed.

    On a terminal it is drawn; into a pipe, a line for each change; with -o, a document for each.
    """
    from fedward_cli.progress import of_cluster, of_folder
    from fedward_cli.watch_command import watch

    view = _view(output)
    with _asked(context, job) as asked:
        if isinstance(asked, Path):
            source = of_folder.follow(asked, time.sleep)
        else:
            source = of_cluster.follow(asked, namespace, time.sleep, view.say)
        outcome = watch(source, view, lambda: _now().astimezone())
    if outcome != "Completed":
        raise typer.Exit(FAILED)


def logs(
    context: typer.Context,
    job: Job,
    site: Annotated[str | None, typer.Option(help="Only what is about this site.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as more is written.")] = False,
    since: Annotated[str | None, typer.Option(help="No older than this: 90s, 10m, 2h.")] = None,
    namespace: JobNamespace = None,
    output: Output = Format.TEXT,
) -> None:
    """Print what a job's processes say: the aggregator's at the hub; trainer's and gateway's at a hospital.

    A hospital's logs cannot be read from the hub. With -o, a document for each line.
    """
    from fedward_cli.logs.command import lines

    with _asked(context, job) as asked:
        for line in lines(asked, namespace, site, since, follow=follow, now=_now(), complain=_complain):
            if output is Format.TEXT:
                typer.echo(str(line))
            else:
                shown_next(output, line.document())


def describe(context: typer.Context, job: Job, namespace: JobNamespace = None, output: Output = Format.TEXT) -> None:
    """Say why a job does not go on: problems first, each with its reason, since when, and what to do."""
    from fedward_cli.describe.command import describe

    with _asked(context, job) as asked:
        found = describe(asked, namespace, _now())
    show(output, found.document, lambda: found.text(_now()))


def report(
    context: typer.Context,
    job: Job,
    out: Annotated[Path | None, typer.Option(help="Folder for what is fetched; runs/JOB if left out.")] = None,
    namespace: JobNamespace = None,
    output: Output = Format.TEXT,
) -> None:
    """Write the report of a job that has ended.

    Of a local run's folder, report.html anew. Of a job at the hub, model, bundle and figures are fetched first, by a
    pod that reads the job's volume.
    """
    with _asked(context, job) as asked:
        if isinstance(asked, Path):
            folder, written = asked, _rewritten(asked)
        else:
            from fedward_cli.cluster.fetch import fetch

            folder = out or Path("runs") / asked
            written = fetch(asked, namespace, folder, _now)
    model = folder / "model.safetensors"
    said = [f"model:  {model if model.exists() else 'none was made'}", f"report: {written}"]
    show(
        output,
        lambda: {"folder": str(folder), "model": str(model) if model.exists() else None, "report": str(written)},
        lambda: [str(written)] if isinstance(asked, Path) else said,
    )


@contextmanager
def _asked(context: typer.Context, job: str) -> Iterator[Path | str]:
    """Give a local run's folder, or a job's name where an option speaks of the cluster or there is no such folder.

    Raises:
        ClusterError: it is no folder, and no cluster can be asked for it.
    """
    from fedward_cli.cluster.kubectl import AwayError, ClusterError
    from fedward_cli.named import named

    given = {**context.find_root().params, **context.params}
    is_of_cluster = any(given.get(each) for each in ("namespace", "out", "kube_context", "kubeconfig"))
    asked = named(job, is_of_cluster=is_of_cluster)
    try:
        yield asked
    except AwayError as error:
        if is_of_cluster:
            raise
        raise ClusterError(f"{job} is no folder of a run, and no cluster can be asked for it: {error}") from error


def _rewritten(folder: Path) -> Path:
    from fedward_cli.report import write_report
    from fedward_cli.results import RESULT

    if not (folder / RESULT).is_file():
        reject(f"{folder} holds no result.json yet")
    return write_report(folder)


def _view(output: Format) -> View:
    from rich.console import Console

    from fedward_cli.progress.view import Documents, Drawn, Lines

    if output is not Format.TEXT:
        return Documents(partial(shown_next, output), _complain)
    console = Console(markup=False)
    return Drawn(console, _now) if console.is_terminal else Lines(lambda line: print(line, flush=True))  # noqa: T201


def _complain(text: str) -> None:
    typer.echo(text, err=True)


def _now() -> datetime:
    return datetime.now(UTC)
