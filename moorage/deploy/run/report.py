"""The result of an apply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from moorage.answers.secrets import Secret
from moorage.desired.layout import RUNS
from moorage.errors import ExitCode, MoorageError
from moorage.servers.run_results import REASONS, RunStatus


@dataclass(frozen=True)
class ServerReport:
    """The result of an apply on one server.

    Attributes:
        status: How it ended. A failed server was rolled back; a cancelled one was rolled back or
            never switched; on a lost one the run can still be in progress.
        message: Why, unless it is done or unchanged.
        step: The last step it began.
        run_id: The run, or empty when there was none.
        code: Why, as a code (see :mod:`moorage.servers.run_results`); empty when it is good.
        warnings: Problems that did not stop the run.
    """

    server: str
    status: RunStatus
    message: str = ""
    step: str = ""
    run_id: str = ""
    code: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether the server is at the desired state."""
        return self.status.is_good

    @property
    def may_have_changed(self) -> bool:
        """Whether the server has, or could have, what was to be applied."""
        return self.status in {RunStatus.DONE, RunStatus.LOST, RunStatus.INTERRUPTED}

    @property
    def cause(self) -> MoorageError | None:
        """Why the server is not at the desired state; None when it is."""
        if self.is_good:
            return None
        code = self.code or f"run_{self.status}"
        reason = REASONS.get(code)
        return MoorageError(
            self.message or f"the run {self.status.label}",
            advice=reason.advice if reason is not None else "",
            fields=reason.fields if reason is not None else (),
            server=self.server,
            code=code,
        )

    def problem(self, advice: Mapping[str, str]) -> MoorageError | None:
        """Return why the server is not at the desired state, with what to do; None when it is.

        Args:
            advice: What to do next, by code: :data:`ADVICE` or :data:`ADVICE_OF_USERS`.
        """
        cause = self.cause
        if cause is None:
            return None
        # One that could not be sent has left nothing.
        log = f"{RUNS}/{self.run_id}/log" if self.run_id and self.step else ""
        parts = (
            f"Its log is {log} on the server." if log else "",
            cause.advice,
            advice.get(cause.code) or advice.get(f"run_{self.status}", ""),
        )
        return MoorageError(
            cause.message,
            advice=" ".join(filter(None, parts)),
            fields=cause.fields,
            server=self.server,
            code=cause.code,
        )


ADVICE = {
    "changed_meanwhile": "Plan again.",
    "storage_changed": "Plan again.",
    "run_locked": "Follow it with 'moorage status FILE --follow', then apply again.",
    "run_lost": "The run may still be in progress: see 'moorage status FILE --follow'.",
    "run_interrupted": "Apply again: it completes what was interrupted.",
}
"""What to do after an apply, by code."""
ADVICE_OF_USERS = {
    "changed_meanwhile": "Try the change again.",
    "storage_changed": "Try the change again.",
    "run_locked": "Follow it with 'moorage status FILE --follow', then try the change again.",
    "run_lost": "The run may still be in progress: 'moorage users list FILE' shows its result.",
    "run_interrupted": "Try the change again: it completes what was interrupted.",
}
"""What to do after a change of the users, by code."""


@dataclass(frozen=True)
class ApplyReport:
    """The result of an apply.

    Attributes:
        servers: One report per server, in the answers' order.
        generated: The generated passwords, by user; to be shown once.
        ca_certificate: PEM of the private CA, if there is one.
        revision: The deployment's revision now; 0 where it is not known.
    """

    servers: tuple[ServerReport, ...]
    generated: dict[str, Secret]
    ca_certificate: bytes | None = None
    revision: int = 0

    @property
    def is_good(self) -> bool:
        """Whether every server is at the desired state."""
        return all(server.is_good for server in self.servers)

    def followed_by(self, later: ApplyReport) -> ApplyReport:
        """Return one report of this apply and of a later one on some of its servers.

        Passwords generated here only count if a server has them: if no server was done, the later
        apply generated new ones.
        """
        again = {server.server: server for server in later.servers}
        kept = (
            self.generated
            if any(server.status is RunStatus.DONE for server in self.servers)
            else {}
        )
        return ApplyReport(
            tuple(again.get(server.server, server) for server in self.servers),
            {**kept, **later.generated},
            later.ca_certificate or self.ca_certificate,
            max(self.revision, later.revision),
        )

    @property
    def serves(self) -> bool:
        """Whether at least one server is at the desired state."""
        return any(server.is_good for server in self.servers)

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the command."""
        if self.is_good:
            return ExitCode.DONE
        return ExitCode.PARTLY_DONE if self.serves else ExitCode.FAILED
