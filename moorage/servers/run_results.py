"""The results of runs: statuses, and the codes by which the script on the server gives reasons.

The script reports ``@result STATUS CODE VALUE...`` (templates/shell/run/common.sh). The messages
are written here, so the codes are stable and the texts can change.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from moorage.rows import Level


class RunStatus(StrEnum):
    """The status of a run, or of a server in an apply. Documented in docs/command-line.md."""

    DONE = "done"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNDONE = "undone"
    LOCKED = "locked"
    INTERRUPTED = "interrupted"
    LOST = "lost"
    RUNNING = "running"
    NOT_SERVED = "not_served"

    @property
    def is_good(self) -> bool:
        """Whether the server is at the desired state."""
        return self in {RunStatus.DONE, RunStatus.UNCHANGED}

    @property
    def level(self) -> Level:
        """The level of its row."""
        if self is RunStatus.RUNNING:
            return Level.PENDING
        return Level.GOOD if self.is_good else Level.BAD

    @property
    def is_rolled_back(self) -> bool:
        """Whether the run was stopped or undone for the sake of something else."""
        return self in {RunStatus.CANCELLED, RunStatus.UNDONE}

    @property
    def label(self) -> str:
        """The status as shown to people."""
        return self.value.replace("_", " ")


_REPORTED = frozenset(
    {
        RunStatus.DONE,
        RunStatus.FAILED,
        RunStatus.CANCELLED,
        RunStatus.UNDONE,
        RunStatus.LOCKED,
        RunStatus.INTERRUPTED,
    }
)


@dataclass(frozen=True)
class Reason:
    """Why a run did not succeed.

    Attributes:
        text: The message; ``{0}`` and so on are the values the script reports with the code. Values
            without a place in it follow after a colon.
        advice: What to do about it; may be empty.
        fields: The fields of the answers that it is about, as dotted paths.
    """

    text: str
    advice: str = ""
    fields: tuple[str, ...] = ()


REASONS = {
    "account_not_created": Reason("the account {0} could not be created"),
    "bucket_elsewhere": Reason(
        "the bucket {0} is in another region",
        "Correct storage.s3.region.",
        ("storage.s3.region",),
    ),
    "bucket_host_unknown": Reason(
        "the name of the store with the bucket {0} does not resolve on this server",
        "Correct storage.s3.regionendpoint or storage.s3.region, or the server's name resolution.",
        ("storage.s3.regionendpoint", "storage.s3.region"),
    ),
    "bucket_key_unknown": Reason(
        "the store with the bucket {0} does not know the access key",
        "Correct storage.s3.accesskey.",
        ("storage.s3.accesskey",),
    ),
    "bucket_key_wrong": Reason(
        "the secret key for the bucket {0} does not match the access key",
        "Correct storage.s3.secretkey or storage.s3.accesskey.",
        ("storage.s3.secretkey", "storage.s3.accesskey"),
    ),
    "bucket_missing": Reason(
        "the bucket {0} does not exist",
        "Create it, or correct storage.s3.bucket.",
        ("storage.s3.bucket",),
    ),
    "bucket_refused": Reason(
        "the key is not allowed to use the bucket {0}",
        "Give it the permissions of the policy in the wizard's step Storage.",
        ("storage.s3.accesskey", "storage.s3.bucket"),
    ),
    "cannot_create": Reason("{0} could not be created"),
    "cannot_remove": Reason("{0} could not be removed"),
    "cannot_sync": Reason("the new files could not be written to the disk"),
    "cannot_write": Reason("{0} could not be written"),
    "certificate_not_installed": Reason("the certificate could not be installed in nginx"),
    "certificate_not_issued": Reason("no certificate was issued"),
    "certificate_not_valid": Reason(
        "the certificate is not valid according to this server's clock ({0} UTC)",
        "Set the clock, for example with: timedatectl set-ntp true.",
    ),
    "changed_meanwhile": Reason("{0} was changed after it was read"),
    "disk_full": Reason("there is no room for the run", "Free some space, then try again."),
    "engine_not_started": Reason("{0} does not start"),
    "hook_failed": Reason("the hook {0} failed with status {1}", fields=("hooks",)),
    "hook_timed_out": Reason("the hook {0} took longer than {1} s", fields=("hooks[].timeout",)),
    "image_login_refused": Reason(
        "the registry of {0} refuses the login",
        "Check the user and the password, and that the user can pull this image.",
        ("registry.image_login",),
    ),
    "image_needs_login": Reason(
        "the registry of {0} needs a login, or does not have this image",
        "Check the image's name, or set a user and a password to pull it with.",
        ("registry.image", "registry.image_login"),
    ),
    "image_not_in_archive": Reason(
        "the image archive holds {0}, not {1}",
        "Name an image that is in the archive.",
        ("registry.image", "registry.image_archive"),
    ),
    "image_not_kept": Reason("the image {0} could not be kept for the slot"),
    "image_not_loaded": Reason(
        "the image archive could not be loaded", fields=("registry.image_archive",)
    ),
    "image_not_pulled": Reason(
        "the image {0} could not be pulled",
        "An image archive works for servers without internet access.",
        ("registry.image", "registry.image_archive"),
    ),
    "image_state_unknown": Reason("{0} does not report its images"),
    "images_bucket_failed": Reason(
        "the bucket could not be changed: {0}",
        "Run it again: that puts back what was moved, if it was not possible now.",
    ),
    "images_bucket_locked": Reason(
        "{0} is changing the images in this bucket",
        "Try again when it has ended. After a crash, the lock ends within 15 minutes.",
    ),
    "images_bucket_slow": Reason(
        "the store or a server is too slow to move objects while writes are held",
        "Try again later, or from a machine that is closer to both.",
    ),
    "images_failed": Reason("the images could not be moved"),
    "images_in_use": Reason(
        "{0} stays, because something is being pushed to it", "Try again when the push has ended."
    ),
    "images_lock_lost": Reason("another run has taken the lock in the bucket", "Try again."),
    "images_log_lost": Reason("a part of {0} is missing, so it is not known what clients need"),
    "images_mounts": Reason(
        "{0} is a file system of its own, and files cannot be moved between file systems"
    ),
    "images_no_hold": Reason(
        "nginx does not answer, or its configuration cannot hold writes",
        "Apply the answers once more: moorage apply FILE.",
    ),
    "images_no_python": Reason(
        "Python 3.9 or newer could not be installed", "Install the package python3."
    ),
    "images_no_slot": Reason("no slot of the registry is active"),
    "images_not_in_trash": Reason("it is not in the trash"),
    "images_nothing_alive": Reason(
        "no image is in use there, which is more likely a store that is not complete"
    ),
    "images_operator_gone": Reason(
        "the connection to the machine that Moorage runs on was lost", "Run it again."
    ),
    "images_not_readable": Reason(
        "the new program does not read {0} as it is stored ({1})",
        "The registry runs the program it ran before, and no client used the new one.",
    ),
    "images_other_disk": Reason(
        "the trash is on another file system than the images, so they cannot be moved there"
    ),
    "images_other_slot": Reason(
        "slot {0} still finishes transfers from before the last apply",
        "Try again when they have ended; 'moorage status' shows them.",
    ),
    "images_settings": Reason("the registry's settings ({0}) do not allow to move images"),
    "images_stopped": Reason("another server could not take part"),
    "images_store_missing": Reason("the images are not in {0}", "Is its disk mounted?"),
    "images_tag_changed": Reason("{0} was pushed or deleted after it was read"),
    "images_too_slow": Reason(
        "the disk is too slow to move the files while writes are held", "Try again later."
    ),
    "images_unreadable": Reason("the images could not be read"),
    "nginx_not_reloaded": Reason("nginx did not load the new configuration"),
    "nginx_refuses": Reason("nginx rejects the configuration"),
    "no_go_ahead": Reason(
        "Moorage ended, or the connection to it was lost, before it gave the go-ahead",
        "Apply again.",
    ),
    "not_served": Reason("what serves {0} on {1}, port {2}, {3}"),
    "packages_not_installed": Reason("the packages could not be installed"),
    "peer_not_answering": Reason(
        "{0} does not pass challenges on to this server (port 80 there answers {1})",
        "The servers behind the name must reach each other on port 80, and all of them must be "
        "applied.",
    ),
    "port_80_not_opened": Reason("nginx does not open port 80"),
    "program_missing": Reason("the kept program {0} is missing or damaged"),
    "program_not_proven": Reason("the new program could not be tried on the images"),
    "programs_not_executable": Reason(
        "programs in {0} cannot be executed, because {1} is mounted noexec",
        "Allow it, for example with: mount -o remount,exec MOUNT_POINT.",
    ),
    "registry_not_starting": Reason("the registry does not start"),
    "run_not_started": Reason("the run could not be started"),
    "slot_taken": Reason("what answers in slot {0} is process {1}, which {2} did not start"),
    "storage_changed": Reason(
        "{0} is not the folder it was when it was read (its marker is {1}, was {2})"
    ),
    "registry_not_stopped": Reason("the registry in slot {0} does not stop"),
    "schedule_refused": Reason(
        "systemd on this server does not accept the schedule {0}",
        "'systemd-analyze calendar' on the server shows what it accepts.",
        ("collect.when",),
    ),
    "storage_is_link": Reason(
        "{0} is a link; the images need a folder", fields=("storage.filesystem.path",)
    ),
    "storage_not_empty": Reason(
        "{0} holds other files; the images need a folder of their own",
        fields=("storage.filesystem.path",),
    ),
    "storage_not_owned": Reason("the owner of {0} could not be changed to {1}"),
    "storage_not_usable": Reason("the registry starts but cannot use its storage (status {0})"),
    "timed_out": Reason("{0} did not end within {1} seconds"),
    "transfers_in_the_way": Reason(
        "slot {0} is still in use (transfers from before the last switch: {1})",
        "Apply again when they have ended.",
    ),
    "unit_not_changed": Reason("{0} could not be enabled or masked"),
    "unit_not_started": Reason("{0} could not be started"),
    "unit_state_unknown": Reason("systemd does not report the state of {0}"),
    "upgrade_needs_more": Reason(
        "docker-registry {0} needs other packages to change",
        "An upgrade changes nothing else. Install them with apt on the server first.",
    ),
    "upload_not_unpacked": Reason("the files could not be unpacked on the server"),
    "version_differs": Reason(
        "the registry is version {0}, but its configuration is written for {1}",
        "Set the registry's version.",
        ("registry.version",),
    ),
    "version_unknown": Reason("the registry does not report its version"),
    # By status, without further detail.
    "run_cancelled": Reason("stopped by the operator"),
    "run_interrupted": Reason("the run ended without a result"),
    "run_locked": Reason("run {0} is in progress"),
    "run_undone": Reason("another server failed"),
}
"""Why runs end, by code. Codes are stable: scripts and records on servers have them."""

_CODE = re.compile(r"[a-z][a-z0-9_]{0,39}")
_PLACE = re.compile(r"\{(\d)\}")


@dataclass(frozen=True)
class RunResult:
    """The reported end of a run.

    Attributes:
        status: How it ended.
        code: Why, a key of :data:`REASONS`. A run of a newer version may have another one, and one
            from before there were codes has ``run_STATUS``. Empty when it is done.
        message: Why, for people; may be empty.
    """

    status: RunStatus
    code: str
    message: str


def read_result(status: str, values: Sequence[str]) -> RunResult:
    """Parse the reported end of a run. The values come from the server and are not trusted.

    Args:
        status: The status as reported.
        values: A code and its values, or the message alone, as runs reported it before.
    """
    ended = RunStatus(status) if status in _REPORTED else RunStatus.FAILED
    if ended is RunStatus.DONE:
        return RunResult(ended, "", "")
    code, *rest = values if len(values) > 1 else ("", *values)
    if not _CODE.fullmatch(code):
        return RunResult(ended, f"run_{ended}", ": ".join(filter(None, (code, *rest))))
    return RunResult(ended, code, describe_reason(code, rest))


def describe_reason(code: str, values: Sequence[str]) -> str:
    """Return a reason as a message.

    Args:
        code: The code; an unknown one is shown as it is.
        values: What the script reported with it.
    """
    reason = REASONS.get(code)
    text = reason.text if reason is not None else code
    used = {int(number) for number in _PLACE.findall(text)}
    # Filled in one pass: a value that looks like a place stays what it is.
    filled = _PLACE.sub(lambda found: _value(values, int(found[1])), text)
    rest = [value for number, value in enumerate(values) if value and number not in used]
    return ": ".join(filter(None, (filled, "; ".join(rest))))


def _value(values: Sequence[str], number: int) -> str:
    return values[number] if number < len(values) and values[number] else "unknown"
