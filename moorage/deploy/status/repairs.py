"""The place where a problem of a server is repaired; each interface names its key or command."""

from __future__ import annotations

from enum import StrEnum

from moorage.errors import CannotConnect, MoorageError


class Repair(StrEnum):
    """The means to repair a problem."""

    APPLY = "apply"
    SETTINGS = "settings"
    LOGS = "logs"
    IMAGES = "images"
    CONNECT = "connect"
    UNINSTALL = "uninstall"


_REPAIRS = {
    Repair.APPLY: (
        "run_failed", "run_interrupted", "not_deployed", "file_modified", "file_missing",
        "upstream_missing", "program_broken", "package_service_enabled", "listens_differ",
        "certificate_expires", "collection_off",
    ),
    Repair.SETTINGS: ("certificate_expired", "name_taken", "port_taken", "other_registry",
                      "renewal_failed"),
    Repair.LOGS: ("registry_down", "nginx_down", "nginx_broken", "nginx_cannot_start"),
    Repair.IMAGES: ("disk_full", "inodes_used_up", "collection_failed"),
    Repair.UNINSTALL: ("uninstall_failed", "uninstall_interrupted"),
}  # fmt: skip
_BY_CODE = {code: repair for repair, codes in _REPAIRS.items() for code in codes}


def repair_of(problem: MoorageError) -> Repair | None:
    """Return what repairs a problem; None if only the administrator of the server can.

    Args:
        problem: The problem.
    """
    if isinstance(problem, CannotConnect):
        return Repair.CONNECT
    return _BY_CODE.get(problem.code)
