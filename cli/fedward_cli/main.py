"""The `fedward` command; `kubectl fedward` is the same. Its exit codes are in `exits`."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from fedward_cli import hub_commands, job_commands
from fedward_cli.completion_scripts import SCRIPTS, Shell
from fedward_cli.exits import BAD_INPUT, FAILED, reject
from fedward_cli.metrics_address import DEFAULT_ADDRESS, is_address
from fedward_cli.optional_value import fill_in
from fedward_cli.output import Format, Output, show
from fedward_cli.plugin import hoisted, program_name
from fedward_cli.program import Program

# Everything else is imported where it is used, so that `fedward --help` answers at once.
app = typer.Typer(
    name="fedward",
    cls=Program,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train one medical-imaging model across many hospitals without moving a scan.",
    epilog="Exit codes: 0 done; 1 the job failed, or something is wrong; 2 bad input, no such job, no cluster, "
    "or a right that is missing; 130 interrupted.",
)
audit = typer.Typer(no_args_is_help=True, help="Read what left a hospital.")

File = Annotated[Path, typer.Argument(help="FederatedJob, FederatedSite and SitePolicy documents (YAML).")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Change a field of the job's spec: --set rounds.count=5"),
]


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    kube_context: Annotated[
        str | None, typer.Option("--context", help="Context of the kubeconfig; also behind any command.")
    ] = None,
    kubeconfig: Annotated[
        str | None, typer.Option("--kubeconfig", help="The kubeconfig's file; also behind any command.")
    ] = None,
) -> None:
    for option, value in (("--context", kube_context), ("--kubeconfig", kubeconfig)):
        if value == "":
            reject(f"{option} needs a value")
    if kube_context or kubeconfig:
        from fedward_cli.cluster.kubectl import use

        use(kube_context, kubeconfig)
    if version:
        from importlib.metadata import version as version_of

        typer.echo(f"fedward {version_of('fedward')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def run(
    file: File,
    out: Annotated[Path | None, typer.Option(help="Folder for the results; runs/JOB if left out.")] = None,
    overrides: Overrides = None,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Also train on each site alone, and centrally.")
    ] = False,
    metrics: Annotated[
        str | None,
        typer.Option(
            metavar="[HOST:PORT]",
            help=f"Show Prometheus what every process counts, on one page; at {DEFAULT_ADDRESS} if not said where.",
        ),
    ] = None,
    output: Output = Format.TEXT,
) -> None:
    """Run a job on this machine: the cluster's processes, certificates and wire.

    Ctrl-C stops it cleanly; the same command goes on from there.
    """
    from fedward_cli import run_command
    from fedward_cli.documents import load_documents
    from fedward_cli.local.extras import Extras
    from fedward_cli.local.metrics_page import MetricsPage, serving
    from fedward_cli.local.run import run_local

    documents = load_documents(file, overrides or ())
    folder = out or Path("runs") / documents.job.metadata.name
    wanted = Extras(baselines=baselines, examples=True, report=True)
    page = MetricsPage()
    with serving(page, metrics) if metrics is not None else nullcontext() as url:
        view = run_command.view(output)
        if url:
            view.say(f"metrics: {url}")
        result = run_local(documents, folder, view=view, wanted=wanted, metrics=page)
    raise typer.Exit(run_command.end(result, folder, output))


@app.command()
def track(
    folder: Annotated[Path, typer.Argument(help="A run's --out folder, or what `fedward report JOB` wrote.")],
    uri: Annotated[
        str | None, typer.Option(metavar="URL", help="The MLflow server; the one that the job names if left out.")
    ] = None,
    experiment: Annotated[
        str | None, typer.Option(help="The experiment; what the job says, or NAMESPACE/JOB, if left out.")
    ] = None,
    output: Output = Format.TEXT,
) -> None:
    """Log a run to MLflow, finished or still going on; what is there already is not logged again."""
    from fedward_cli.tracking.command import track

    # What programs read is the document at the end, alone on stdout.
    logged = track(folder, uri, experiment, lambda line: typer.echo(line, err=output is not Format.TEXT))
    show(output, logged.document, list)
    if not logged.is_complete:
        typer.echo("error: not everything is logged; the same command logs the rest", err=True)
        raise typer.Exit(FAILED)


@app.command()
def plan(
    file: File,
    overrides: Overrides = None,
    output: Output = Format.TEXT,
) -> None:
    """Validate a file, and show the plan and what would start.

    A file without any SitePolicy is taken for one that goes to a hub: what only the hub knows is said, not guessed.
    """
    from fedward_cli import plan_command, plan_for_hub
    from fedward_cli.documents import Documents, load_plannable

    found = load_plannable(file, overrides or ())
    if isinstance(found, Documents):
        documents = found
        show(output, lambda: plan_command.document(documents), lambda: plan_command.text(documents))
    else:
        for_hub = found
        show(output, lambda: plan_for_hub.document(for_hub), lambda: plan_for_hub.text(for_hub))


job_commands.register(app)
hub_commands.register(app)
app.add_typer(audit, name="audit")


@audit.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="A site's audit folder, or a run's --out folder.")],
    head: Annotated[str | None, typer.Option(help="The last entry's hash as you know it, to notice a cut end.")] = None,
    output: Output = Format.TEXT,
) -> None:
    """Check that no entry of an audit log was changed, removed or put in."""
    from fedward_cli.audit_command import verify_folder

    found = list(verify_folder(folder, head))
    if output is Format.TEXT:
        for line in found:
            typer.echo(line.text, err=not line.is_intact)
    else:
        show(output, lambda: {"logs": [line.document() for line in found]}, list)
    if not all(line.is_intact for line in found):
        raise typer.Exit(FAILED)


@app.command()
def completion(shell: Annotated[Shell, typer.Argument(help="bash, zsh or fish.")]) -> None:
    """Print what a shell reads to complete commands and names: source <(fedward completion bash)."""
    typer.echo(SCRIPTS[shell], nl=False)


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


def main() -> None:
    """Run the command; what goes wrong with the input is said on stderr, without a traceback."""
    from fedward_cli.cluster.kubectl import ClusterError
    from fedward_cli.problems import InputError
    from fedward_protocol.reasons import RefusedError

    words = sys.argv[1:]
    try:
        if words[:1] == ["__complete"]:
            _offer(words[1:])
        else:
            words = fill_in(hoisted(words), "--metrics", DEFAULT_ADDRESS, is_address)
            app(words, prog_name=program_name(sys.argv[0]))
    except InputError as error:
        for problem in error.problems:
            typer.echo(str(problem), err=True)
        sys.exit(BAD_INPUT)
    except ClusterError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(BAD_INPUT)
    except (OSError, RefusedError) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(FAILED)


def complete_for_kubectl() -> None:
    """Complete for kubectl, which calls `kubectl_complete-fedward` with the words; `:0` lets it offer files too."""
    _offer(sys.argv[1:])
    typer.echo(":0")


def _offer(words: list[str]) -> None:
    from fedward_cli.completion import complete

    for each in complete(typer.main.get_command(app), words):
        typer.echo(each)


if __name__ == "__main__":
    main()
