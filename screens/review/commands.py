"""The changes of a run as the commands that an administrator would type."""

from __future__ import annotations

import shlex

from moorage.deploy.plan.plan import Change, Kind, ServerPlan
from moorage.desired import layout
from moorage.rows import Action


def commands_of(plan: ServerPlan, change: Change) -> list[str]:
    """Return commands equivalent to what the run does for one change.

    Args:
        plan: The server's plan.
        change: One of its changes.
    """
    quoted = shlex.quote(change.subject)
    if change.kind is Kind.RECORD:
        return []
    if change.kind is Kind.FILE:
        return _file(plan, change, quoted)
    if change.kind is Kind.SERVICE:
        return _service(plan, change.subject)
    if change.kind is Kind.IMAGE:
        return _image(plan, quoted)
    if change.kind is Kind.FOLDER:
        folder = next((each for each in plan.folders if each.path == change.subject), None)
        rights = f" -m {folder.mode:04o} -o {folder.owner} -g {folder.group}" if folder else ""
        return [f"install -d{rights} {quoted}"]
    simple = {
        Kind.PACKAGE: f"apt-get install --no-install-recommends {quoted}",
        Kind.HOOK: f"{layout.HOOKS_ETC}/{quoted}",
        Kind.ACCOUNT: "useradd --system --user-group --no-create-home --home-dir /nonexistent "
        f"--shell /usr/sbin/nologin {quoted}",
    }
    return [simple[change.kind]]


def _file(plan: ServerPlan, change: Change, quoted: str) -> list[str]:
    if change.action is Action.REMOVE:
        return [f"rm {quoted}"]
    file = next((each for each in plan.writes if each.path == change.subject), None)
    rights = f"-m {file.mode:04o} -o {file.owner} -g {file.group} " if file else ""
    return [
        f"install {rights}/dev/stdin {quoted}.new    # the file as shown",
        f"mv -fT {quoted}.new {quoted}",
    ]


def _image(plan: ServerPlan, quoted: str) -> list[str]:
    image = plan.desired.image
    if image is not None and image.archive:
        return [f"{image.engine} load < {shlex.quote(image.archive)}"]
    return [f"{image.engine if image else 'docker'} pull {quoted}"]


def all_commands(plan: ServerPlan) -> list[str]:
    """Return the commands for every change of a server, in order."""
    return [line for change in plan.changes for line in commands_of(plan, change)]


def _service(plan: ServerPlan, subject: str) -> list[str]:
    name, _, action = subject.partition(": ")
    if name == "registry":
        new, old = layout.unit_name(plan.slot_to), layout.unit_name(layout.other(plan.slot_to))
        if action.startswith("stop"):
            return [f"systemctl disable --now {old}"]
        start = [
            "systemctl daemon-reload",
            f"systemctl enable --now {new}",
            f"curl -fsS --unix-socket {layout.socket_path(plan.slot_to)} http://registry/v2/",
        ]
        drain = [f"systemctl disable --now {old}    # once its transfers have ended"]
        return start + (drain if plan.slot_from is not None else [])
    if name == "nginx":
        verb = "enable --now" if action == "start" else "reload"
        return ["nginx -t", f"systemctl {verb} nginx"]
    return [f"systemctl {action} {name}.service"]
