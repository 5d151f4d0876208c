"""The `fedward` command. Exit codes: 0 done, 1 the job failed, 2 bad input, 130 interrupted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, Protocol, TypeVar

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
authority = typer.Typer(no_args_is_help=True, help="Look after the federation's authority, at the hub.")
app.add_typer(authority, name="authority")
revoke = typer.Typer(no_args_is_help=True, help="Take back, at the hub, what was given.")
app.add_typer(revoke, name="revoke")


class Approval(StrEnum):
    """Whether an invitation is enough to join."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


class Role(StrEnum):
    """What an installation is."""

    HUB = "hub"
    SITE = "site"


File = Annotated[Path, typer.Argument(help="FederatedJob, FederatedSite and SitePolicy documents (YAML).")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Change a field of the job's spec: --set rounds.count=5"),
]

HubNamespace = Annotated[str, typer.Option("--namespace", "-n", help="Namespace of the hub's release.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


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
    name: Annotated[
        str | None, typer.Argument(metavar="SITEJOB | site", help="What waits is listed where no name is given.")
    ] = None,
    site: Annotated[str | None, typer.Argument(metavar="NAME", help="The site's, after the word site.")] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="The SiteJob's; kubectl's own if left out.")
    ] = None,
    yes: Yes = False,
) -> None:
    """Approve what a job would run at this hospital (SitePolicy with approval: manual).

    At the hub, "fedward approve site NAME" lets in a hospital that was invited with approval: manual.
    """
    from fedward_cli import approve_command
    from fedward_cli.cluster import approve_site

    if name == "site":
        requests: Sequence[approve_site.Waiting] = [approve_site.request_of(site)] if site else approve_site.waiting()
        _approve(requests, site is None, yes, approve_site.approve)
    elif site is not None:
        _reject(f'"{name} {site}" is not to be approved: name one SiteJob, or say site NAME')
    else:
        jobs = approve_command.waiting(namespace) if name is None else [approve_command.find(name, namespace)]
        _approve(jobs, name is None, yes, lambda request: approve_command.approve(request, namespace))


class _Approvable(Protocol):
    @property
    def is_approved(self) -> bool: ...


_Request = TypeVar("_Request", bound=_Approvable)


def _approve(requests: Sequence[_Request], is_list: bool, yes: bool, approve: Callable[[_Request], None]) -> None:
    typer.echo("\n".join(map(str, requests)) or "Nothing waits for an approval.")
    if is_list:
        return
    (request,) = requests
    if request.is_approved:
        typer.echo("Approved already.")
        return
    _ask("Approve?", yes)
    approve(request)
    typer.echo("Approved.")


@app.command()
def invite(
    site: Annotated[str, typer.Argument(help="Its name in the federation.")],
    display_name: Annotated[str | None, typer.Option(help="The hospital's name, for people.")] = None,
    approval: Annotated[
        Approval | None, typer.Option(help="Whether a person has to let it in; automatic, or as it was, if left out.")
    ] = None,
    expires: Annotated[str, typer.Option(help="When the invitation dies unused.")] = "7d",
    namespace: HubNamespace = "fedward",
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Also if the site is out then until a person lets it in again.")
    ] = False,
) -> None:
    """Invite a hospital to the hub; prints the values of its chart, which hold a secret that is good once."""
    from fedward_cli.cluster.invite import invite

    made = invite(site, namespace, expires, display_name, approval.value if approval else None, is_meant=yes)
    typer.echo(made.values(), nl=False)
    notes = [
        f"{site} is invited; the invitation is good once, until {made.expires}. Any earlier one is dead.",
        "Hand the file over so that nobody else reads it. The hospital then installs, with its own policy:",
        f"  helm install fedward-site charts/fedward-site -n fedward --create-namespace -f {site}.yaml",
        *([f"and then waits for: fedward approve site {site}"] if made.is_manual else []),
    ]
    typer.echo("\n".join(notes), err=True)


@revoke.command("site")
def _revoke_site(name: Annotated[str, typer.Argument(help="Its name in the federation.")], yes: Yes = False) -> None:
    """Revoke a site: it belongs to the federation no more."""
    from fedward_cli.cluster.revoke import jobs_of, revoke

    jobs = jobs_of(name)
    typer.echo(f"{name} takes part in {', '.join(jobs)}" if jobs else f"{name} takes part in no job.")
    _ask(f"Revoke {name}?", yes)
    revoke(name)
    typer.echo(
        f"{name} is revoked. Within seconds its tokens are dead, and it is dismissed from the jobs that run;\n"
        "it gets no certificate any more. Jobs go on without it, or fail where their quorum needs it."
    )


@app.command()
def doctor(
    role: Annotated[Role | None, typer.Argument(help="What to look at; whatever is there where left out.")] = None,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Where it is installed.")] = "fedward",
) -> None:
    """Say what is wrong with a hub or a hospital, and what to do next; 1 if something is, 2 if it cannot look."""
    from datetime import UTC, datetime

    from fedward_cli.cluster.doctor import examine

    found = examine(role, namespace, datetime.now(UTC))
    typer.echo("\n\n".join(map(str, found)))
    if not all(each.is_healthy for each in found):
        raise typer.Exit(FAILED)


@app.command()
def backup(namespace: HubNamespace = "fedward") -> None:
    """Print what a lost hub is made again from: the authority with its key, the sites, the jobs that have not ended."""
    from fedward_cli.cluster.backup import backup

    typer.echo(backup(namespace), nl=False)
    typer.echo("This holds the key of the federation's authority: keep it as you keep that.", err=True)


@authority.command("show")
def _show_authority(namespace: HubNamespace = "fedward") -> None:
    """Say who signs for the federation, whom it believes, and which sites do not know yet."""
    from datetime import UTC, datetime

    from fedward_cli.cluster.authority import look

    typer.echo("\n".join(look(namespace, datetime.now(UTC)).lines()))


@authority.command()
def rotate(
    namespace: HubNamespace = "fedward",
    anyway: Annotated[bool, typer.Option("--anyway", help="Also where not everybody knows of the last step.")] = False,
    yes: Yes = False,
) -> None:
    """Take the next of three steps by which a new authority takes over from the old; no job notices.

    Run it three times: the new one is believed; it signs; the old one is believed no more.
    """
    from datetime import UTC, datetime

    from fedward_cli.cluster.authority import look, take_step

    state = look(namespace, datetime.now(UTC))
    typer.echo("\n".join(state.lines()))
    why = state.obstacle(datetime.now(UTC))
    if why and not anyway:
        typer.echo(f"error: {why}", err=True)
        raise typer.Exit(FAILED)
    _ask(f"Next: {state.next.step.value}. Go on?", yes)
    take_step(state, datetime.now(UTC))
    typer.echo(f"Done: {state.next.step.value}.")


@app.command()
def run(
    file: File,
    out: Annotated[Path | None, typer.Option(help="Folder for the results; runs/JOB if left out.")] = None,
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


def _ask(question: str, yes: bool) -> None:
    if not yes and not typer.confirm(question):
        raise typer.Exit(FAILED)


def _reject(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(BAD_INPUT)


def main() -> None:
    """Run the command; what goes wrong with the input is said on stderr, without a traceback."""
    from fedward_cli.cluster.kubectl import ClusterError
    from fedward_cli.problems import InputError
    from fedward_protocol.reasons import RefusedError

    try:
        app()
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


if __name__ == "__main__":
    main()
