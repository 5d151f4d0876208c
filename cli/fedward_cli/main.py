"""The `fedward` command. Exit codes: 0 done, 1 the job failed, 2 bad input, 130 interrupted."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

# Everything else is imported where it is used, so that `fedward --help` answers at once.
if TYPE_CHECKING:
    from fedward_cli.local.view import View

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130

app = typer.Typer(
    name="fedward",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train one medical-imaging model across many hospitals without moving a scan.",
    epilog="Exit codes: 0 done, 1 the job failed, 2 bad input, 130 interrupted.",
)
audit = typer.Typer(no_args_is_help=True, help="Read what left a hospital.")
app.add_typer(audit, name="audit")

File = Annotated[Path, typer.Argument(help="FederatedJob, FederatedSite and SitePolicy documents (YAML).")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Change a field of the job's spec: --set rounds.count=5"),
]


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False
) -> None:
    if version:
        from importlib.metadata import version as version_of

        typer.echo(f"fedward {version_of('fedward')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def approve(
    name: Annotated[str | None, typer.Argument(help="The SiteJob; what waits is listed where left out.")] = None,
    namespace: Annotated[str | None, typer.Option("--namespace", "-n", help="The site's namespace.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Approve what a job would run at this hospital (SitePolicy with approval: manual)."""
    from fedward_cli import approve_command

    try:
        if name is None:
            waiting = approve_command.waiting(namespace)
            typer.echo("\n".join(map(str, waiting)) or "Nothing waits for an approval.")
            return
        request = approve_command.find(name, namespace)
        typer.echo(str(request))
        if request.is_approved:
            typer.echo("Approved already.")
            return
        if not yes and not typer.confirm("Approve?"):
            raise typer.Exit(FAILED)
        approve_command.approve(request, namespace)
    except approve_command.ApproveError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(BAD_INPUT) from error
    typer.echo("Approved.")


@app.command()
def run(
    file: File,
    out: Annotated[Path | None, typer.Option(help="Folder for the results.  [default: runs/JOB]")] = None,
    overrides: Overrides = None,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Also train on each site alone, and centrally.")
    ] = False,
) -> None:
    """Run a job on this machine: the cluster's processes, certificates and wire.

    Ctrl-C stops it cleanly; the same command goes on from there.
    """
    from fedward_cli.documents import load_documents
    from fedward_cli.local.extras import Extras
    from fedward_cli.local.run import run_local

    documents = load_documents(file, overrides or ())
    folder = out or Path("runs") / documents.job.metadata.name
    wanted = Extras(baselines=baselines, examples=True, report=True)
    result = run_local(documents, folder, view=_view(), wanted=wanted)
    if result.state == "Stopped":
        typer.echo("stopped; the same command goes on from there", err=True)
        raise typer.Exit(INTERRUPTED)
    if result.state == "Failed":
        why = result.failure
        typer.echo(f"error: the job failed: {why.reason} {why.detail}" if why else "error: the job failed", err=True)
        typer.echo(f"logs: {folder / 'logs'}", err=True)
        raise typer.Exit(FAILED)
    typer.echo(f"model:  {folder / 'model.safetensors'}\nreport: {folder / 'report.html'}")


@app.command()
def plan(
    file: File,
    overrides: Overrides = None,
    output: Annotated[str, typer.Option("--output", "-o", metavar="table|json", help="How to print it.")] = "table",
) -> None:
    """Validate a file, and show the resolved plan and what would start."""
    from fedward_cli.documents import load_documents
    from fedward_cli.plan_command import describe, show

    if output not in ("table", "json"):
        _reject(f'--output must be "table" or "json", not "{output}"')
    documents = load_documents(file, overrides or ())
    if output == "json":
        typer.echo(describe(documents))
    else:
        show(documents)


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="A run's --out folder.")]) -> None:
    """Write report.html anew, from what the run left."""
    from fedward_cli.report import write_report

    if not (folder / "result.json").is_file():
        _reject(f"{folder} holds no result.json; it is no run's --out folder")
    typer.echo(write_report(folder))


@audit.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="A site's audit folder, or a run's --out folder.")],
    head: Annotated[str | None, typer.Option(help="The last entry's hash as you know it, to notice a cut end.")] = None,
) -> None:
    """Check that no entry of an audit log was changed, removed or put in."""
    from fedward_cli.audit_command import verify_folder

    found = list(verify_folder(folder, head))
    for line in found:
        typer.echo(line.text, err=not line.is_intact)
    if not all(line.is_intact for line in found):
        raise typer.Exit(FAILED)


_PHANTOM = "Make up data to try a federation with: real anatomy, synthetic tumours, as BraTS folders."


@app.command(
    "phantom",
    help=_PHANTOM,
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
def _phantom(context: typer.Context) -> None:
    # A program of its own behind this name: importing it takes longer than all of `fedward --help` may.
    from fedward_cli.phantom.command import phantom

    program = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    program.command(help=_PHANTOM)(phantom)
    program(args=context.args, prog_name="fedward phantom")


def _view() -> View:
    from rich.console import Console

    from fedward_cli.local.live import Drawn
    from fedward_cli.local.view import Lines

    console = Console()
    return Drawn(console) if console.is_terminal else Lines(lambda line: print(line, flush=True))  # noqa: T201


def _reject(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(BAD_INPUT)


def main() -> None:
    """Run the command; what goes wrong with the input is said on stderr, without a traceback."""
    from fedward_cli.problems import InputError
    from fedward_protocol.reasons import RefusedError

    try:
        app()
    except InputError as error:
        for problem in error.problems:
            typer.echo(str(problem), err=True)
        sys.exit(BAD_INPUT)
    except (OSError, RefusedError) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
