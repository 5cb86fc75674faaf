"""Which deployment's users a command is about, and the users as its servers have them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from moorage.cli.options import server_options, session_of
from moorage.cli.server_option import named_server_options, servers_named

if TYPE_CHECKING:
    from moorage.answers.model import Answers, Server
    from moorage.answers.recorded import RecordedServer
    from moorage.cli.deployment import Engine
    from moorage.cli.session import Session
    from moorage.deploy.discovery import FoundDeployment
    from moorage.deploy.users_change import UsersRead
    from moorage.desired.users import RegistryUser
    from moorage.errors import MoorageError
    from moorage.servers.facts import Facts
    from moorage.users.on_servers import UserList

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Target:
    """What a command was told about the deployment.

    Attributes:
        file: The answers file, or None with ``--server``.
        servers: The servers of ``--server``; none with a file.
        words: The arguments behind the file.
        accepted_host_keys: What ``--accept-host-key`` said.
    """

    context: click.Context
    file: Path | None
    servers: tuple[Server, ...]
    words: tuple[str, ...]
    accepted_host_keys: tuple[str, ...]

    @property
    def session(self) -> Session:
        """The session."""
        return session_of(self.context)


def target_options(*names: str) -> Callable[[_Function], _Function]:
    """Add what names the deployment, and arguments; they become ``words``, ``addresses``, ``key``.

    Args:
        names: What the arguments behind FILE are called.
    """

    def decorate(function: _Function) -> _Function:
        metavar = " ".join(["[FILE]", *names])
        words = click.argument("words", metavar=metavar, nargs=-1, type=click.Path())
        decorated: _Function = words(named_server_options(server_options(function)))
        return decorated

    return decorate


def target_from(context: click.Context, options: dict[str, Any], *names: str) -> Target:
    """Return the target that the options of :func:`target_options` name.

    Args:
        context: The command's.
        options: The command's options; those that name the target are taken out.
        names: What the arguments behind FILE are called; there may be several of a last one that
            ends with dots.

    Raises:
        click.UsageError: They do not name one.
        WrongUsageError: The file they name is not there.
    """
    words: tuple[str, ...] = options.pop("words")
    addresses, key = options.pop("addresses"), options.pop("key")
    accepted = options.pop("accepted_host_keys")
    wanted = " ".join(names)
    count = len(words) if addresses else len(words) - 1
    takes_more = wanted.endswith("...")
    is_right = count == len(names) or (takes_more and count > len(names))
    excess = words[len(names) - count :] if count > len(names) else ()
    too_many = f" One too many, or more: {' '.join(excess)}." if excess else ""
    if not addresses:
        if key is not None:
            raise click.UsageError("--key goes with --server; FILE names the keys itself.", context)
        if not is_right:
            wanted = f"FILE {wanted}".rstrip()
            alone = f", or --server USER@HOST[:PORT] {' '.join(names)}".rstrip()
            raise click.UsageError(f"Wanted: {wanted}{alone}.{too_many}", context)
        from moorage.cli.answers_file import check_there

        file = Path(words[0])
        check_there(file)
        return Target(context, file, (), words[1:], accepted)
    if not is_right:
        wanted = wanted or "no further argument"
        raise click.UsageError(f"With --server, wanted: {wanted}.{too_many}", context)
    servers = servers_named(context, addresses, key)
    return Target(context, None, servers, words, accepted)


@dataclass
class UsersAtWork:
    """An open deployment and its users.

    Attributes:
        target: What the command was told.
        answers: The file's answers, or with ``--server`` as much of them as users need.
        engine: The open deployment.
        read: The users as they were read.
    """

    target: Target
    answers: Answers
    engine: Engine
    read: UsersRead

    def user_list(self, label: str | None) -> UserList:
        """Return the user list that counts.

        Args:
            label: The server that ``--from`` names, or None.

        Raises:
            WrongUsageError: Servers differ and none was named, or the one named was not reached.
        """
        from moorage.cli.errors import WrongUsageError
        from moorage.users.on_servers import UsersStatus

        user_lists = self.read.user_lists
        labels = ", ".join(user_list.server for user_list in user_lists)
        if label is not None:
            for user_list in user_lists:
                if user_list.server == label:
                    return user_list
            raise WrongUsageError(f"--from {label} is none of the servers reached: {labels}.")
        statuses = self.read.statuses.items()
        modified = [name for name, status in statuses if status is UsersStatus.MODIFIED]
        if modified:
            raise WrongUsageError(
                f"The users on {', '.join(modified)} differ from those on "
                f"{self.read.latest.server}, and not because of a change that was missed: somebody "
                "edited them.",
                advice="Name the server that counts with --from; 'moorage users list' shows who is "
                "where. The others get the same users.",
                code="servers_differ",
            )
        return self.read.latest

    def say_what_was_edited(self) -> None:
        """Narrate where users were changed by somebody else."""
        for user_list in self.read.user_lists:
            if user_list.has_drifted:
                self.target.session.narrate(
                    f"{user_list.server}: the files of the users were edited by hand since Moorage "
                    "wrote them."
                )

    def users(self, label: str | None = None) -> tuple[RegistryUser, ...]:
        """Return the users that count; see :meth:`user_list`."""
        return self.user_list(label).users


@contextmanager
def open_users(target: Target) -> Iterator[UsersAtWork]:
    """Open a deployment and read its users from all servers.

    Args:
        target: What the command was told.

    Raises:
        ServersNotNamed: Other servers are recorded than ``--server`` named, and nobody can be
            asked about them.
        MoorageError: No server can be reached, or nothing is deployed.
    """
    from moorage.cli.answers_file import open_answers
    from moorage.cli.deployment import open_engine
    from moorage.deploy.discovery import answers_for, find_deployment

    session = target.session
    if target.file is not None:
        answers = open_answers(session, target.file)
    else:
        answers = answers_for(target.servers)
    with open_engine(session, answers, accepted_host_keys=target.accepted_host_keys) as engine:
        # Whoever changes a user is not asked for the registry's other secrets.
        engine.asker.asks_for_logins_only = True
        left_out: tuple[MoorageError, ...] = ()
        known: tuple[Facts | MoorageError, ...] = ()
        if target.servers:
            known = engine.look(engine.deployment.probe_each)
            found = find_deployment(target.servers, known)
            agreed = _agreed(engine, found)
            answers, left_out = found.answers(agreed), found.left_out(agreed)
            engine.continue_with(answers)
        read = engine.look(lambda: engine.operations.read_users(left_out, known))
        yield UsersAtWork(target, answers, engine, read)


def _agreed(engine: Engine, found: FoundDeployment) -> tuple[RecordedServer, ...]:
    """Return the servers that nobody named and the operator agrees to connect to."""
    if not found.others:
        return ()
    if not engine.session.is_interactive:
        raise found.not_named()
    engine.session.narrate(found.others_in_words)
    them = "it" if len(found.others) == 1 else "them"
    return found.others if engine.asker.confirm(f"Connect to {them}, too?") else ()
