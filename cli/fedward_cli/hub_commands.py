"""The commands for administrators: letting hospitals in, looking after a hub, approving what runs at a hospital."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Protocol, TypeVar

import typer

from fedward_cli.exits import FAILED, reject
from fedward_cli.output import Format, Output, show

# Everything else is imported where it is used, so that `fedward --help` answers at once.


class Approval(StrEnum):
    """Whether an invitation is enough to join."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


class Role(StrEnum):
    """What an installation is."""

    HUB = "hub"
    SITE = "site"


HubNamespace = Annotated[str, typer.Option("--namespace", "-n", help="Namespace of the hub's release.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    for each in (approve, invite, doctor, backup):
        app.command()(each)
    revoke = typer.Typer(no_args_is_help=True, help="Take back, at the hub, what was given.")
    revoke.command("site")(revoke_site)
    app.add_typer(revoke, name="revoke")
    authority = typer.Typer(no_args_is_help=True, help="Look after the federation's authority, at the hub.")
    authority.command("show")(show_authority)
    authority.command()(rotate)
    app.add_typer(authority, name="authority")


def approve(
    name: Annotated[
        str | None, typer.Argument(metavar="SITEJOB | site", help="What waits is listed where no name is given.")
    ] = None,
    site: Annotated[str | None, typer.Argument(metavar="NAME", help="The site's, after the word site.")] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="The SiteJob's; kubectl's own if left out.")
    ] = None,
    yes: Yes = False,
    output: Output = Format.TEXT,
) -> None:
    """Approve what a job would run at this hospital (SitePolicy with approval: manual).

    At the hub, "fedward approve site NAME" lets in a hospital that was invited with approval: manual.
    """
    from fedward_cli import approve_command
    from fedward_cli.cluster import approve_site

    if name == "site":
        requests: Sequence[approve_site.Waiting] = [approve_site.request_of(site)] if site else approve_site.waiting()
        _approve(requests, site is None, yes, output, approve_site.approve)
    elif site is not None:
        reject(f'"{name} {site}" is not to be approved: name one SiteJob, or say site NAME')
    else:
        jobs = approve_command.waiting(namespace) if name is None else [approve_command.find(name, namespace)]
        _approve(jobs, name is None, yes, output, lambda request: approve_command.approve(request, namespace))


class _Approvable(Protocol):
    @property
    def is_approved(self) -> bool: ...

    def document(self) -> dict[str, Any]: ...


_Request = TypeVar("_Request", bound=_Approvable)


def _approve(
    requests: Sequence[_Request], is_list: bool, yes: bool, output: Format, approve: Callable[[_Request], None]
) -> None:
    if is_list or output is Format.TEXT:
        show(
            output,
            lambda: {"waiting": [each.document() for each in requests]},
            lambda: list(map(str, requests)) or ["Nothing waits for an approval."],
        )
    if is_list:
        return
    _check_asked(output, yes)
    (request,) = requests
    if not request.is_approved:
        _ask("Approve?", yes)
        approve(request)
    said = "Approved already." if request.is_approved else "Approved."
    show(output, lambda: {**request.document(), "approved": True}, lambda: [said])


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


def revoke_site(
    name: Annotated[str, typer.Argument(help="Its name in the federation.")],
    yes: Yes = False,
    output: Output = Format.TEXT,
) -> None:
    """Revoke a site: it belongs to the federation no more."""
    from fedward_cli.cluster.revoke import jobs_of, revoke

    _check_asked(output, yes)
    jobs = jobs_of(name)
    if output is Format.TEXT:
        typer.echo(f"{name} takes part in {', '.join(jobs)}" if jobs else f"{name} takes part in no job.")
    _ask(f"Revoke {name}?", yes)
    revoke(name)
    said = (
        f"{name} is revoked. Within seconds its tokens are dead, and it is dismissed from the jobs that run;\n"
        "it gets no certificate any more. Jobs go on without it, or fail where their quorum needs it."
    )
    show(output, lambda: {"site": name, "revoked": True, "jobs": jobs}, lambda: [said])


def doctor(
    role: Annotated[Role | None, typer.Argument(help="What to look at; whatever is there where left out.")] = None,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Where it is installed.")] = "fedward",
    output: Output = Format.TEXT,
) -> None:
    """Say what is wrong with a hub or a hospital, and what to do next; 1 if something is, 2 if it cannot look."""
    from fedward_cli.cluster.doctor import examine

    found = examine(role, namespace, datetime.now(UTC))
    show(output, lambda: {"installations": [each.document() for each in found]}, lambda: ["\n\n".join(map(str, found))])
    if not all(each.is_healthy for each in found):
        raise typer.Exit(FAILED)


def backup(namespace: HubNamespace = "fedward") -> None:
    """Print what a lost hub is made again from: the authority with its key, the sites, the jobs that have not ended."""
    from fedward_cli.cluster.backup import backup

    typer.echo(backup(namespace), nl=False)
    typer.echo("This holds the key of the federation's authority: keep it as you keep that.", err=True)


def show_authority(namespace: HubNamespace = "fedward", output: Output = Format.TEXT) -> None:
    """Say who signs for the federation, whom it believes, and which sites do not know yet."""
    from fedward_cli.cluster.authority import look

    found = look(namespace, datetime.now(UTC))
    show(output, lambda: found.document(datetime.now(UTC)), found.lines)


def rotate(
    namespace: HubNamespace = "fedward",
    anyway: Annotated[bool, typer.Option("--anyway", help="Also where not everybody knows of the last step.")] = False,
    yes: Yes = False,
    output: Output = Format.TEXT,
) -> None:
    """Take the next of three steps by which a new authority takes over from the old; no job notices.

    Run it three times: the new one is believed; it signs; the old one is believed no more.
    """
    from fedward_cli.cluster.authority import look, take_step

    _check_asked(output, yes)
    state = look(namespace, datetime.now(UTC))
    if output is Format.TEXT:
        typer.echo("\n".join(state.lines()))
    why = state.obstacle(datetime.now(UTC))
    if why and not anyway:
        typer.echo(f"error: {why}", err=True)
        raise typer.Exit(FAILED)
    _ask(f"Next: {state.next.step.value}. Go on?", yes)
    take_step(state, datetime.now(UTC))
    done = state.next.step.value
    show(output, lambda: {"federation": state.hub.federation, "done": done}, lambda: [f"Done: {done}."])


def _check_asked(output: Format, yes: bool) -> None:
    if output is not Format.TEXT and not yes:
        reject("what is not shown is not asked about: with -o give --yes too")


def _ask(question: str, yes: bool) -> None:
    if not yes and not typer.confirm(question):
        raise typer.Exit(FAILED)
