"""Every action of the wizard: its keys, its label in the footer, and its description.

The bindings of all screens come from here, and so do the footer, the command palette, the help and
the table of keys in docs/wizard.md, which ``python -m tui.actions docs/wizard.md`` updates.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from textual.binding import Binding, BindingType

from tui.document.steps import STEPS


@dataclass(frozen=True)
class Action:
    """An action and its keys.

    Attributes:
        keys: The keys in Textual's notation, separated by commas.
        method: The method's name after ``action_``, with arguments if it takes any; empty for a key
            of :data:`SAME_KEYS`.
        label: The label in the footer; empty to leave the action out.
        does: Its description, without a full stop.
        title: Its title in the command palette; empty to leave the action out.
        search: Other words that find it in the palette.
        display: The keys as the footer and the help show them, if not as usual.
        is_first: Whether its keys take precedence over those of the focused widget.
    """

    keys: str
    method: str
    label: str = ""
    does: str = ""
    title: str = ""
    search: str = ""
    display: str = ""
    is_first: bool = False

    @property
    def key_words(self) -> str:
        """The keys in words: ``Ctrl+B``, ``Escape or Enter``."""
        shown = _DISPLAYED.get(self.display)
        return shown or " or ".join(key_in_words(key) for key in self.keys.split(","))


@dataclass(frozen=True)
class Area:
    """A part of the wizard and its actions.

    Attributes:
        title: Its name.
        actions: Its actions, in the order of the footer.
    """

    title: str
    actions: tuple[Action, ...]


def key_in_words(key: str) -> str:
    """Return a key as people write it: ``Ctrl+B`` for ``ctrl+b``, ``Shift+N`` for ``N``."""
    names = {"slash": "/", "question_mark": "?", "colon": ":",
             "pageup": "Page Up", "pagedown": "Page Down"}  # fmt: skip
    *modifiers, last = key.split("+")
    if len(last) == 1 and last.isupper():
        modifiers.append("shift")
    return "+".join(
        [*(each.capitalize() for each in modifiers), names.get(last, last.capitalize())]
    )


SAME_KEYS = {"question_mark": "f1", "colon": "ctrl+p", "q": "escape", "j": "down", "k": "up"}
"""Keys that outside text fields do what another key does, as in less and vi."""

BROWSER_KEYS = frozenset({"ctrl+n", "ctrl+q", "ctrl+t", "ctrl+w"})
"""Keys that browsers keep for themselves. Each action with one of them has another key."""

_HELP_WIDTH = 64
"""Columns in the help on a narrow terminal."""
_DISPLAYED = {
    "↑↓": "Up or Down",
    "⇧↑↓": "Shift+Up or Shift+K",
    "←→": "Left or Right",
    "pgdn": "Page Up or Page Down",
}
_TEST = Action("ctrl+t,f4", "test", "Test", "Connect and show the system, Docker, disk and ports",
               "Test the servers", "check connection ssh ping")  # fmt: skip
_FIND = Action("slash", "find", "Find", "Show only lines that contain a text", "Find in the log",
               "search grep filter")  # fmt: skip
_FOLLOW = Action("f", "follow", "Follow", "Follow the end of the log, or stop", "Follow the log",
                 "tail pause")  # fmt: skip
_LEVEL = Action("l", "level", "Level", "Show warnings only, errors only, or everything",
                "Change the log level", "errors warnings filter")  # fmt: skip
_COPY_LOG = Action("y", "copy_log", "Copy", "Copy the log that is shown", "Copy the log",
                   "clipboard yank")  # fmt: skip
_USERS = Action("u", "users", "Users", "Add, change and remove who can log in", "Users",
                "accounts passwords access login htpasswd")  # fmt: skip
_LOGS = Action("l", "logs", "Logs", "The registry's journal, nginx's errors and each request",
               "Logs", "journal errors requests access log")  # fmt: skip
_IMAGES = Action("i", "images", "Images", "Repositories and tags, and the space they take up",
                 "Images", "images tags repositories space disk gc garbage collect clean prune "
                 "delete trash restore undelete")  # fmt: skip
_RETENTION = Action("e", "retention", "Retention",
                    "The rules that remove tags, and when space is freed", "Retention",
                    "rules keep clean cleanup schedule timer gc expire", is_first=True)  # fmt: skip
_UPGRADE = Action("g", "upgrade", "Upgrade", "Another version of the registry, after a question",
                  "Upgrade the registry", "update version package image")  # fmt: skip
_UNINSTALL = Action("X", "uninstall", "", "Remove the registry from its servers, after its name "
                    "is typed", "Uninstall the registry",
                    "remove delete purge decommission uninstall")  # fmt: skip
_SAVE_LINES = Action("s", "save_lines", "Save lines", "Save the lines to a file",
                     "Save the lines", "write export")  # fmt: skip
_REFUSE = Action("escape", "refuse", "Back", "Close without changing anything")
_CLOSE = Action("escape", "refuse", "Close", "Close")

AREAS = {
    "app": Area("Everywhere", (
        Action("ctrl+p", "command_palette", "More", "Show all actions and themes", is_first=True),
        Action("f1", "help", "Help", "Show what this screen does, and its keys", "Help",
               "manual keys"),
        Action("ctrl+q,f10", "leave", "", "Leave Moorage; the draft is saved", "Leave Moorage",
               "quit exit", is_first=True),
        Action("ctrl+c", "leave"),
        # First, so that text typed after Tab goes to the field that Tab moved to, even if keys
        # come faster than widgets handle them (pasted, or typed ahead).
        Action("tab", "app.focus_next", "", "Next field", is_first=True),
        Action("shift+tab", "app.focus_previous", "", "Previous field", is_first=True),
    )),
    "same_keys": Area("Everywhere except in text fields", (
        Action("question_mark", "", does="Help, as F1"),
        Action("colon", "", does="All actions and themes, as Ctrl+P"),
        Action("q", "", does="Back, as Escape"),
        Action("j", "", does="Down"),
        Action("k", "", does="Up"),
    )),
    "buttons": Area("Buttons", (
        # First, because keys of the application do not reach dialogs otherwise.
        Action("left", "app.beside(-1)", is_first=True),
        Action("right", "app.beside(1)", "", "Next button in the row; Left: previous button",
               is_first=True),
    )),
    "start": Area("Start", (
        Action("enter", "open", "", "Open what is selected"),
        Action("n", "new", "New", "Start a new deployment", "New deployment", "create install"),
        Action("o", "file", "Open a file", "Open an answers file", "Open a file", "yaml load"),
        Action("c", "connect", "Connect", "Read a deployment from one of its servers",
               "Connect to a server", "ssh import read"),
        _USERS,
        Action("d,delete", "forget", "Remove",
               "Remove the selected deployment from this list; servers and files do not change",
               "Remove from the list", "take off forget delete recent"),
        Action("slash", "find", "", "Show only deployments with a text in name, server or file",
               "Find a deployment", "search filter"),
        Action("escape", "leave", "Leave", "Leave (press twice); after a search, show all"),
    )),
    "dashboard": Area("Dashboard", (
        Action("enter,s", "settings", "Settings", "Edit the answers in the wizard", "Settings",
               "edit answers configure", "s"),
        Action("f", "follow", "Follow the run", "Follow a run that is in progress",
               "Follow the run", "attach apply progress"),
        Action("t", "verify", "Verify", "Check the registry after an apply whose end was not seen",
               "Verify", "check test push pull login"),
        Action("v", "review", "Review", "Show what an apply would change", "Review",
               "plan diff apply"),
        _USERS,
        _IMAGES,
        Action("enter", "open", "Open", "Open what is selected: images, users, logs, a run's log",
               is_first=True),
        Action("d", "run_diff", "Changes", "Show what the selected run changed",
               "Changes of the selected run", "diff difference compare revision"),
        Action("b", "rollback", "Roll back", "Go back to what the selected run deployed",
               "Roll back to the selected run", "undo revert previous restore rollback"),
        Action("1", "show_tab('overview')", "Tabs", "State of each server, problems and space",
               "Overview", "status health problems dashboard tab", "1-5"),
        Action("2", "show_tab('images')", "", "Largest repositories, and those pushed to last",
               "Largest and latest images", "dashboard tab"),
        Action("3", "show_tab('users')", "", "Who can log in, and when they were last here",
               "Users by last login", "accounts last seen dashboard tab"),
        Action("4", "show_tab('activity')", "", "Requests, last pushes and pulls, and failures",
               "Activity", "requests pushes pulls failures traffic dashboard tab"),
        Action("5", "show_tab('runs')", "", "Applies and other changes, and the way back to one",
               "Runs", "history applies changes who revision roll back rollback undo revert "
               "restore diff dashboard tab"),
        # Or a table would take them and scroll by one column.
        Action("right", "next_tab(1)", "", "Next tab; Left: previous tab", is_first=True),
        Action("left", "next_tab(-1)", is_first=True),
        Action("pagedown", "scroll('page_down')", "Scroll", "Scroll", display="pgdn"),
        Action("pageup", "scroll('page_up')"),
        Action("escape", "back", "Back", "Back to the start"),
        _LOGS,
        _UPGRADE,
        _UNINSTALL,
        Action("c", "clients", "Clients", "Show what to paste on Docker, Podman and other clients",
               "Set up clients", "docker podman kubernetes containerd login ca trust handover"),
        Action("ctrl+r", "look", "Read again", "Read the servers again", "Read the servers again",
               "refresh reload status"),
        Action("down", "scroll('down')"),
        Action("up", "scroll('up')"),
    )),
    "wizard": Area("Wizard", (
        Action("ctrl+n,f8", "next", "Next", "Next step", "Next step", "continue forward"),
        Action("ctrl+n,f8", "apply", "Apply", "Review and apply, after confirmation", "Apply",
               "install deploy run"),
        Action("ctrl+b", "back", "Back", "Previous step", "Previous step", "back"),
        Action("escape", "close", "Close", "Back to the dashboard", "Back to the dashboard",
               "close"),
        Action("escape", "step_back", "", "Previous step, or back to the dashboard"),
        Action("f3", "preview", "Files", "Show or hide the files that this step changes",
               "Show or hide the files", "preview nginx config"),
        Action("ctrl+s", "save", "Save", "Save the answers to a file", "Save the answers",
               "write yaml export"),
        Action("f1", "help", "Help", "Show what this step asks for, and its keys", "Help",
               "manual keys"),
        *(Action(f"alt+{step.number},ctrl+{step.number}", f"jump('{step.value}')",
                 does=f"Go to {step.label}", title=f"Go to {step.label}", search="step",
                 # Or a field would take it as a digit.
                 is_first=True)
          for step in STEPS),
        Action("", "users", does=_USERS.does, title="Users", search=_USERS.search),
        Action("", "logs", does=_LOGS.does, title="Logs", search=_LOGS.search),
        Action("", "retention", does=_RETENTION.does, title=_RETENTION.title,
               search=_RETENTION.search),
    )),
    "form": Area("A form", (
        Action("enter", "go_on", "", "Continue, or go to the first problem"),
    )),
    "choice": Area("A choice", (
        Action("down,right", "move(1)", "Choose", "Choose", display="↑↓"),
        Action("up,left", "move(-1)"),
    )),
    "toggle": Area("Yes or no", (Action("space", "change", "Change", "Change it"),)),
    "field": Area("A field with suggestions", (
        Action("down", "suggest(1)", "", "Next suggestion; Up: previous suggestion"),
        Action("up", "suggest(-1)"),
    )),
    "secret": Area("A field for a password or key", (
        Action("f2", "show_or_hide", "Show", "Show or hide the text you type",
               "Show or hide what is typed", "reveal password"),
    )),
    "table": Area("Servers, users, hooks or retention rules in the wizard", (
        Action("enter", "go_on"),
        Action("a", "add", "Add", "Add one", "Add", "new create"),
        Action("e", "edit", "Edit", "Edit the selected one", "Edit", "change"),
        Action("d,delete", "delete", "Remove", "Remove the selected one", "Remove", "delete"),
        Action("shift+up,K", "move_row(-1)", "Move", "Move the selected rule up",
               "Move the rule up", "order first", "⇧↑↓"),
        Action("shift+down,J", "move_row(1)", "", "Move the selected rule down",
               "Move the rule down", "order last"),
    )),
    "servers": Area("Servers", (_TEST,)),
    "storage": Area("Storage", (
        Action("ctrl+t,f4", "test", "Test", "List, write, read and delete in the bucket",
               "Test the bucket", "s3 check"),
    )),
    "dns": Area("DNS", (
        Action("ctrl+t,f4", "check_records", "Check, or stop",
               "Look the DNS records up again, or stop looking",
               "Check the DNS records", "lookup resolve dig"),
    )),
    "ssl": Area("SSL", (
        Action("ctrl+t,f4", "replace", "Replace on the servers",
               "Install your changed certificate on the servers", "Replace the certificate",
               "renew tls certificate key"),
    )),
    "review": Area("Review", (
        Action("ctrl+r", "plan", "Read", "Read the servers and plan again",
               "Read the servers again", "refresh reload plan"),
        Action("v", "view", "View", "Show the difference, whole file or commands",
               "Difference, whole file, or commands", "view diff"),
        Action("slash", "find", "", "Find a change by name or by what is in it", "Find a change",
               "search"),
        Action("n", "jump(1)", "Change", "Go to the next change", "Next change", "diff jump"),
        Action("p,N", "jump(-1)", "", "Go to the previous change", "Previous change", "diff jump"),
        Action("y", "copy", "Copy", "Copy what is shown", "Copy what is shown", "clipboard yank"),
        Action("e", "end_transfers", "End transfers",
               "Apply, and cut off transfers on the slot it needs", "End transfers",
               "apply stop pushes pulls"),
        Action("l", "leaving", "Left servers", "Choose what happens to servers that left",
               "Servers that left", "leaving removed uninstall keep gone no longer exists"),
    )),
    "plan_tree": Area("The tree of changes", (
        Action("enter", "wizard_go_on"),
        Action("left", "collapse", "", "Collapse a branch"),
        Action("right", "expand", "", "Expand a branch"),
    )),
    "diff": Area("A difference", (
        Action("slash", "find", "", "Find a text in it", "Find in the difference", "search"),
        Action("n", "jump(1)", "", "Next change, or next place with the text"),
        Action("p,N", "jump(-1)", "", "Previous change, or place with the text"),
    )),
    "apply": Area("Apply", (
        Action("up", "select(-1)", is_first=True),
        Action("down", "select(1)", "", "Select the next server; Up: previous server",
               is_first=True),
        Action("v", "log", "Log", "Show the log in place of the steps", "Show the log", "view"),
        Action("v", "steps", "Steps", "Show the steps in place of the log", "Show the steps",
               "view checklist"),
        _FIND,
        _LEVEL,
        Action("a", "all_servers", "All servers", "Show the log of all servers",
               "Show the log of all servers"),
        _FOLLOW,
        Action("s", "save_log", "Save", "Save the log to a file", "Save the log",
               "write export"),
        _COPY_LOG,
        Action("r", "retry", "Retry", "Apply again on the servers that failed",
               "Retry failed servers", "try again repeat"),
        Action("enter,escape", "go_on", "Report", "Show the report", "Show the report", "done"),
        Action("escape", "cancel", "Cancel", "Stop the runs, or leave them running",
               "Cancel", "stop abort leave detach"),
    )),
    "done": Area("Done", (
        Action("ctrl+s", "save", "Save", "Save the answers to a file", "Save the answers",
               "write yaml export"),
        _SAVE_LINES,
        Action("r", "review", "Review", "Back to Review", "Review", "plan apply again"),
        _USERS,
        _LOGS,
        Action("escape,enter", "leave", "To the start", "Back to the start", "Back to the start"),
        Action("escape,enter", "leave_for_dashboard", "To the dashboard", "Back to the dashboard",
               "Back to the dashboard"),
    )),
    "logs": Area("Logs", (
        _FIND,
        _LEVEL,
        Action("F", "filter", "Filter", "Show only a user, a repository or a status",
               "Filter the log", "user repository status requests search"),
        Action("c", "checks", "Checks", "Show or hide Moorage's own checks",
               "Show or hide Moorage's own checks", "verify failover requests filter"),
        Action("a", "next_server", "Server", "Each server in turn, then all",
               "Show the log of another server"),
        _FOLLOW,
        # Or the log would take them and scroll by one column.
        Action("right", "sideways(20)", "", "Scroll sideways in long lines", display="←→",
               is_first=True),
        Action("left", "sideways(-20)", is_first=True),
        _COPY_LOG,
        Action("escape", "back", "Back", "Back"),
    )),
    "run_diff": Area("The changes of a past run", (
        Action("escape", "back", "Back", "Back to the runs"),
    )),
    "rollback": Area("Roll back", (
        Action("enter", "go_on", "Roll back", "Roll back, after confirmation", "Roll back",
               "undo revert previous restore apply", is_first=True),
        Action("o", "choose_servers", "Servers", "Roll back all servers, or one of them",
               "Choose the servers", "limit one some"),
        Action("escape", "back", "Back", "Back to the runs, without changing anything"),
    )),
    "run_log": Area("The log of a past run", (
        _FIND,
        # Or the log would take them and scroll by one column.
        Action("right", "sideways(20)", "", "Scroll sideways in long lines", display="←→",
               is_first=True),
        Action("left", "sideways(-20)", is_first=True),
        _COPY_LOG,
        Action("escape", "back", "Back", "Back to the runs"),
    )),
    "copy_block": Area("Lines to copy", (
        _SAVE_LINES,
    )),
    "lines": Area("Lines wider than the screen", (
        Action("right", "sideways(20)", "", "Scroll sideways", display="←→"),
        Action("left", "sideways(-20)"),
    )),
    "log_view": Area("A log", (
        Action("end", "follow", "", "Go to the end and follow it"),
        Action("home", "home", "", "Go to the beginning"),
    )),
    "users": Area("Users", (
        # First, so that type-ahead goes where the previous key moved to.
        Action("enter", "apply", "Apply", "Show what will change, and apply it",
               "Apply the changes", is_first=True),
        Action("enter", "found", is_first=True),
        Action("z", "undo", "Undo", "Undo the last staged change", "Undo the last change",
               "revert", is_first=True),
        Action("a", "add", "Add", "Add a user", "Add a user", "new create", is_first=True),
        Action("p", "password", "Password", "Change the password", "Change the password",
               "passwd reset", is_first=True),
        Action("e", "access", "Access", "Change access and repositories", "Change access",
               "edit push pull repositories permissions", is_first=True),
        Action("x", "disable", "Disable", "Block the user from logging in; the password is kept",
               "Disable the user", "lock block", is_first=True),
        Action("x", "enable", "Enable", "Allow a disabled user to log in again", "Enable the user",
               "unlock", is_first=True),
        Action("d,delete", "remove", "Remove", "Remove the user", "Remove the user", "delete",
               is_first=True),
        Action("i", "import_users", "Import",
               "Import an htpasswd file from this machine or a server", "Import users",
               "htpasswd", is_first=True),
        Action("escape", "back", "Back", "Back; in a search, show all users"),
        # The line above the table shows the first two.
        Action("slash", "find", "", "Find by name, repository or state", "Find users", "search",
               is_first=True),
        Action("s", "sort", "", "Sort by name, by last login, by last push, or changes first",
               "Sort", "order", is_first=True),
        Action("ctrl+r", "read", "", "Read the servers again; staged changes are kept",
               "Read the servers again", "refresh reload"),
    )),
    "images": Area("Images", (
        Action("enter", "open", "Open", "Go from a repository to its tags, and open a tag",
               is_first=True),
        Action("enter", "found", is_first=True),
        Action("space", "mark", "Mark", "Mark the tag or repository, or remove the mark",
               "Mark", "select several", is_first=True),
        Action("d,delete", "stage", "Delete",
               "Stage the deletion of what is marked or selected; again takes it back",
               "Delete tags or repositories", "remove rm", is_first=True),
        Action("p", "plan", "Plan", "Show what will be deleted, and delete it",
               "Show what will be deleted", "apply staged", is_first=True),
        Action("z,ctrl+z", "undo", "", "Undo the last change of what is staged",
               "Undo the last change", "revert", "z", is_first=True),
        Action("w", "watch", "Watch the run", "Follow the run that is in progress",
               "Follow the run", "attach progress collection", is_first=True),
        Action("f", "collect", "Free space", "Free the space that nothing needs",
               "Free space", "gc garbage collect clean cleanup prune space disk full purge",
               is_first=True),
        Action("t", "trash", "Trash", "What was deleted and collected, and restore it", "Trash",
               "restore undelete recover bring back deleted", is_first=True),
        _RETENTION,
        Action("slash", "find", "Find", "Find by a part of repository:tag, or a pattern with *",
               "Find images", "search filter glob pattern tags", is_first=True),
        Action("s", "sort", "Sort", "Sort the table by size, last push, number of tags or name",
               "Sort", "order size age", is_first=True),
        # Or the table would take them and scroll by one column.
        Action("right", "right", "", "Go to the tags; Left: to the repositories", is_first=True),
        Action("left", "left", is_first=True),
        Action("escape", "cancel", "Cancel", "Stop reading", "Cancel", "stop abort"),
        Action("escape", "back", "Back", "Back: from the search, from the tags, to the dashboard"),
        Action("r,f5,ctrl+r", "read", "", "Read the images again; marks are kept",
               "Read the images again", "refresh reload", "r", is_first=True),
        Action("c", "checks", "", "Show or hide the repository of Moorage's own checks",
               "Show or hide Moorage's own checks", "verify moorage-verify hidden", is_first=True),
    )),
    "run_dialog": Area("A run that changes images or uninstalls", (
        Action("escape", "cancel", "Cancel or leave", "Cancel the run, or leave it running",
               "Cancel the run, or leave it running", "stop abort detach", is_first=True),
        Action("enter,escape", "refuse", "Close", "Close", is_first=True),
    )),
    "trash": Area("The trash", (
        Action("space", "mark", "Mark", "Mark a tag or repository, or all of one deletion",
               "Mark", "select several", is_first=True),
        Action("enter,r", "restore", "Restore", "Restore what is marked or selected",
               "Restore", "undelete recover bring back", is_first=True),
        Action("a", "restore_all", "Restore all", "Restore everything in the trash",
               "Restore everything", "undelete recover bring back", is_first=True),
        Action("escape", "back", "Back", "Back to the images"),
    )),
    "image": Area("An image", (
        Action("right", "platform(1)", "Platform", "Next platform; Left: previous platform",
               "Next platform", "architecture", "←→", is_first=True),
        Action("left", "platform(-1)", is_first=True),
        Action("y", "copy", "Copy", "Copy the image's name with its digest",
               "Copy the name with the digest", "clipboard yank pull", is_first=True),
        Action("r,f5,ctrl+r", "read", "", "Read the image again", "Read the image again",
               "refresh reload", "r", is_first=True),
        Action("down", "scroll_body('scroll_down')", "Scroll", "Scroll", display="↑↓",
               is_first=True),
        Action("up", "scroll_body('scroll_up')", is_first=True),
        Action("pagedown", "scroll_body('scroll_page_down')", is_first=True),
        Action("pageup", "scroll_body('scroll_page_up')", is_first=True),
        Action("end", "scroll_body('scroll_end')", is_first=True),
        Action("home", "scroll_body('scroll_home')", is_first=True),
        Action("escape", "back", "Back", "Back to the tags"),
    )),
    "row_table": Area("A table of users or images", (
        Action("up", "move(-1)"),
        Action("down", "move(1)", "", "Next row; Up: previous row"),
        Action("pageup", "page(-1)"),
        Action("pagedown", "page(1)", "", "Next page; Page Up: previous page"),
        Action("home,g", "end(-1)", "", "First row"),
        Action("end,G", "end(1)", "", "Last row"),
    )),
    "user_changes": Area("Changes of users", (
        Action("v", "view", "Files", "Show the changes as files, with passwords masked",
               "Show the changes as files", "view diff"),
        Action("enter", "accept"),
        _REFUSE,
    )),
    "users_apply": Area("A change of users being applied", (
        Action("s", "stop", "Stop and undo", "Stop, and undo the change on every server",
               "Stop and undo", "cancel abort"),
        Action("enter,escape", "refuse", "Close", "Close"),
    )),
    "generated_passwords": Area("Generated passwords", (
        Action("c", "copy_all", "Copy", "Copy all passwords", "Copy the passwords", "clipboard"),
        _CLOSE,
    )),
    "leave_question": Area("The question before leaving", (
        Action("ctrl+c", "leave", does="Leave"),
    )),
    "dialog": Area("A dialog", (
        _REFUSE,
        Action("f1", "help", "Help", "Explain the fields and list the keys", "Help",
               "manual keys"),
        # From a button as well, which has the focus.
        Action("down", "scroll_body('scroll_down')", "Scroll", "Scroll", display="↑↓"),
        Action("up", "scroll_body('scroll_up')"),
        Action("pagedown", "scroll_body('scroll_page_down')"),
        Action("pageup", "scroll_body('scroll_page_up')"),
        Action("end", "scroll_body('scroll_end')"),
        Action("home", "scroll_body('scroll_home')"),
    )),
    "form_dialog": Area("A dialog with fields", (
        # Or a field or a form would take Enter.
        Action("enter", "next_field", "Next field", "Next field", is_first=True),
        Action("enter", "end", "Done", "Accept, in the last field", is_first=True),
        Action("ctrl+s", "accept", "Done", "Accept"),
    )),
    "server_dialog": Area("A server", (_TEST,)),
    "host_key": Area("A new host key", (
        Action("t", "trust", "Trust", "Trust the key and add it to known_hosts"),
        Action("escape", "refuse", "Refuse", "Refuse the key"),
    )),
    "mistakes": Area("Mistakes in a file", (_CLOSE,)),
    "help": Area("Help", (Action("enter,f1", "refuse", is_first=True),)),
    "note": Area("A message", (Action("enter", "refuse"),)),
}  # fmt: skip
"""The actions by the part of the wizard they work in, in the order of use."""

BEGIN = "<!-- Written by: python -m tui.actions docs/wizard.md -->\n"
END = "<!-- End of the table of keys -->\n"


def bindings(area: str) -> list[BindingType]:
    """Return the bindings of a part of the wizard.

    Args:
        area: Its name in :data:`AREAS`.
    """
    return [
        Binding(
            each.keys,
            each.method,
            each.label or each.title,
            show=bool(each.label),
            key_display=each.display or None,
            priority=each.is_first,
            tooltip=each.does,
            id=f"{area}.{number}",
        )
        for number, each in enumerate(AREAS[area].actions)
        if each.keys and each.method
    ]


def action_of(binding: Binding) -> Action | None:
    """Return the action of a binding; None if the binding is one of Textual's own."""
    area, _, number = (binding.id or "").partition(".")
    return AREAS[area].actions[int(number)] if area in AREAS else None


def without_keys(area: str) -> tuple[Action, ...]:
    """Return the actions that are only in the palette."""
    return tuple(each for each in AREAS[area].actions if not each.keys)


def key_lines(actions: Iterable[Action]) -> str:
    """Return lines of keys and what they do, in two columns."""
    rows = {each.key_words: each.does for each in actions if each.does}
    width = max(map(len, rows), default=0)
    return "\n".join(
        textwrap.fill(f"{keys:<{width}}  {does}", _HELP_WIDTH, subsequent_indent=" " * (width + 2))
        for keys, does in rows.items()
    )


def key_table() -> str:
    """Return the Markdown table of all keys."""
    lines = ["| where | key | does |", "|---|---|---|"]
    for area in AREAS.values():
        rows = [each for each in area.actions if each.keys and each.does]
        lines += [
            f"| {'' if number else area.title} | {each.key_words} | {each.does} |"
            for number, each in enumerate(rows)
        ]
    return "\n".join(lines) + "\n"


def updated(text: str) -> str:
    """Return a document with an updated table of keys."""
    pattern = f"{re.escape(BEGIN)}.*{re.escape(END)}"
    return re.sub(pattern, lambda _: f"{BEGIN}{key_table()}{END}", text, flags=re.DOTALL)


def main() -> None:
    """Update the file named on the command line."""
    path = Path(sys.argv[1])
    path.write_text(updated(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
