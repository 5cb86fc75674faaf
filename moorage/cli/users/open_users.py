"""Open the deployment that a command's arguments name, and read its users."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from moorage.cli.options import LOCAL_PATH, output_of, server_options
from moorage.cli.server_option import parse_server_options, server_and_key_options

if TYPE_CHECKING:
    from moorage.answers.model import Answers, Server
    from moorage.answers.recorded import RecordedServer
    from moorage.cli.output import Output
    from moorage.cli.runner import Runner
    from moorage.deploy.status.discovery import FoundDeployment
    from moorage.deploy.users.change import UsersRead
    from moorage.desired.users import RegistryUser
    from moorage.errors import MoorageError
    from moorage.servers.facts import Facts
    from moorage.users.on_servers import UserList

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Arguments:
    """The deployment a command names, and its other arguments.

    Attributes:
        file: The answers file, or None with ``--server``.
        servers: The servers of ``--server``; none with a file.
        words: The arguments after the file.
        accepted_host_keys: The values of ``--accept-host-key``.
    """

    context: click.Context
    file: Path | None
    servers: tuple[Server, ...]
    words: tuple[str, ...]
    accepted_host_keys: tuple[str, ...]

    @property
    def output(self) -> Output:
        """The output."""
        return output_of(self.context)


def deployment_arguments(*names: str) -> Callable[[_Function], _Function]:
    """Add FILE, ``--server``, ``--key`` and arguments; see :func:`parse_arguments`.

    Args:
        names: The names of the arguments after FILE.
    """

    def decorate(function: _Function) -> _Function:
        metavar = " ".join(["[FILE]", *names])
        words = click.argument("words", metavar=metavar, nargs=-1, type=LOCAL_PATH)
        decorated: _Function = words(server_and_key_options(server_options(function)))
        return decorated

    return decorate


def parse_arguments(context: click.Context, options: dict[str, Any], *names: str) -> Arguments:
    """Return the arguments that :func:`deployment_arguments` added.

    Args:
        context: The command's context.
        options: The command's options; these arguments are removed from them.
        names: The names of the arguments after FILE; a last name with dots can be repeated.

    Raises:
        click.UsageError: They are incomplete or too many.
        LocalFileError: The file cannot be read.
    """
    words: tuple[str, ...] = options.pop("words")
    addresses, key = options.pop("addresses"), options.pop("key")
    accepted = options.pop("accepted_host_keys")
    if addresses and words and _is_answers_file(words[0]):
        raise click.UsageError(
            f"FILE ({words[0]}) and --server are both given, but a command takes one of them.",
            context,
        )
    expected = " ".join(names)
    count = len(words) if addresses else len(words) - 1
    takes_more = expected.endswith("...")
    is_right = count == len(names) or (takes_more and count > len(names))
    excess = words[len(names) - count :] if count > len(names) else ()
    too_many = f" Unexpected arguments: {' '.join(excess)}." if excess else ""
    if not addresses:
        if key is not None:
            raise click.UsageError("--key needs --server; FILE has its own keys.", context)
        if not is_right:
            expected = f"FILE {expected}".rstrip()
            alternative = f" or --server USER@HOST[:PORT] {' '.join(names)}".rstrip()
            # The dots of a name that can be repeated are not the end of the sentence.
            end = "" if takes_more and not too_many else "."
            raise click.UsageError(f"Expected {expected}{alternative}{end}{too_many}", context)
        from moorage.local_file import check_file

        file = Path(words[0])
        # Before any other error is reported.
        check_file(file, "answers file", pipes=True)
        return Arguments(context, file, (), words[1:], accepted)
    if not is_right:
        expected = expected or "no arguments"
        raise click.UsageError(f"Expected {expected} with --server.{too_many}", context)
    servers = parse_server_options(context, addresses, key)
    return Arguments(context, None, servers, words, accepted)


def _is_answers_file(word: str) -> bool:
    return Path(word).suffix in {".yml", ".yaml"} and ":" not in word


@dataclass
class OpenUsers:
    """An open deployment and its users.

    Attributes:
        arguments: The command's arguments.
        answers: The file's answers; with ``--server``, only what changes of users need.
        runner: The open deployment.
        read: The users on its servers.
    """

    arguments: Arguments
    answers: Answers
    runner: Runner
    read: UsersRead

    def user_list(self, label: str | None) -> UserList:
        """Return the authoritative user list.

        Args:
            label: The server of ``--from``, or None.

        Raises:
            WrongUsageError: The servers differ without ``--from``, or its server is unreachable.
        """
        from moorage.cli.errors import WrongUsageError
        from moorage.users.on_servers import UsersStatus

        user_lists = self.read.user_lists
        labels = ", ".join(user_list.server for user_list in user_lists)
        if label is not None:
            for user_list in user_lists:
                if user_list.server == label:
                    return user_list
            raise WrongUsageError(f"--from {label} is not a reachable server; use one of {labels}.")
        statuses = self.read.statuses.items()
        modified = [name for name, status in statuses if status is UsersStatus.MODIFIED]
        if modified:
            raise WrongUsageError(
                f"The users on {', '.join(modified)} were edited by hand and differ from those on "
                f"{self.read.latest.server}.",
                advice="Name the server with the right users with --from; the others will match. "
                "'moorage users list' shows the differences.",
                code="servers_differ",
            )
        return self.read.latest

    def report_manual_edits(self) -> None:
        """Print which servers have users that were edited by hand."""
        for user_list in self.read.user_lists:
            if user_list.has_drifted:
                self.arguments.output.message(
                    f"{user_list.server}: the users' files were edited by hand."
                )

    def users(self, label: str | None = None) -> tuple[RegistryUser, ...]:
        """Return the users of :meth:`user_list`."""
        return self.user_list(label).users


@contextmanager
def open_users(arguments: Arguments) -> Iterator[OpenUsers]:
    """Open a deployment and read its users from all servers.

    Args:
        arguments: The command's arguments.

    Raises:
        ServersNotNamed: ``--server`` leaves out recorded servers, and the operator cannot be
            asked about them.
        MoorageError: No server can be reached, or nothing is deployed.
    """
    from moorage.cli.answers_file import open_answers
    from moorage.cli.runner import open_deployment
    from moorage.deploy.status.discovery import answers_for, find_deployment

    output = arguments.output
    if arguments.file is not None:
        answers = open_answers(output, arguments.file)
    else:
        answers = answers_for(arguments.servers)
    with open_deployment(
        output, answers, accepted_host_keys=arguments.accepted_host_keys
    ) as runner:
        # Changing users does not need the registry's other secrets.
        runner.asker.asks_for_logins_only = True
        left_out: tuple[MoorageError, ...] = ()
        known: tuple[Facts | MoorageError, ...] = ()
        if arguments.servers:
            known = runner.query(runner.deployment.probe_each)
            found = find_deployment(arguments.servers, known)
            others = _confirm_others(runner, found)
            answers, left_out = found.answers(others), found.left_out(others)
            runner.continue_with(answers)
        read = runner.query(lambda: runner.operations.read_users(left_out, known))
        yield OpenUsers(arguments, answers, runner, read)


def _confirm_others(runner: Runner, found: FoundDeployment) -> tuple[RecordedServer, ...]:
    """Return the recorded servers that the operator agrees to connect to."""
    if not found.others:
        return ()
    if not runner.output.is_interactive:
        raise found.not_named()
    runner.output.message(found.others_in_words)
    them = "it" if len(found.others) == 1 else "them"
    return found.others if runner.asker.confirm(f"Connect to {them}, too?") else ()
