"""The probe: reads a server's facts with one script in one channel."""

from __future__ import annotations

import io
import ipaddress
import re
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from moorage.errors import MoorageError
from moorage.servers.facts import (
    Candidate,
    Disk,
    Draining,
    Facts,
    ImagesFolder,
    Listener,
    ManagedFile,
    ManagedFolder,
    RunRecord,
    Service,
    Store,
)
from moorage.servers.nginx_config import read_nginx
from moorage.servers.nginx_facts import NginxFacts
from moorage.servers.run_results import read_result
from moorage.servers.transport import Cancel, Transport
from templates.load import shell_script

_FILES_FOLLOW = b"\n@files\n"
_FIRST_READ = b"first_read\n"
_LARGEST_ANSWER = 64 * 1024**2
_SILENCE, _DEADLINE = 60.0, 180.0
"""Seconds without any output, and seconds for the whole probe."""
_LONGEST_CAUSE = 400
_LAST_SECOND = 253_402_300_799.0
"""The end of the year 9999, the latest date Python supports."""


def probe(
    transport: Transport,
    managed: Sequence[str],
    *,
    engine: str | None = None,
    image: str | None = None,
    storage: str | None = None,
    nginx: bool = False,
    updates: bool = False,
    first: tuple[str, Callable[[bytes], None]] | None = None,
    cancel: Cancel | None = None,
) -> Facts:
    """Read a server's facts, including the contents of managed files.

    Args:
        transport: The connection to the server.
        managed: Absolute paths of managed files and folders; folders are read recursively.
        engine: The container engine to query for the image.
        image: The container image to look for.
        storage: The folder that images are stored in.
        nginx: Whether to read nginx's configuration, including other sites.
        updates: Whether to ask apt which versions it would install; takes it a while.
        first: A file to read before everything else, and a function that takes its content as
            soon as it arrives.
        cancel: Stops waiting when set.

    Returns:
        The facts.

    Raises:
        CannotConnect: The server cannot be reached or logged in to.
        MoorageError: The probe failed or its output is invalid.
    """
    head = [engine or "-", image or "-", storage or "-", "yes" if nginx else "-"]
    head.append("yes" if updates else "-")
    head.append(first[0] if first is not None else "-")
    payload = "".join(f"{line}\n" for line in [*head, *managed]).encode()
    started = time.time()
    answer = bytearray()
    take_first = first[1] if first is not None else None

    def take(data: bytes) -> None:
        nonlocal take_first
        looked_at = max(0, len(answer) - len(_FIRST_READ))
        answer.extend(data)
        if take_first is not None and (end := answer.find(_FIRST_READ, looked_at)) >= 0:
            take_first(_first(bytes(answer[:end])))
            take_first = None
        if len(answer) > _LARGEST_ANSWER:
            raise MoorageError(
                f"the probe's output is larger than {_LARGEST_ANSWER // 1024**2} MiB.",
                advice="Look for large files in /etc/moorage and /etc/nginx/moorage.",
                server=transport.server,
                code="probe_failed",
            )

    completed = transport.run(
        shell_script("run/causes.sh") + shell_script("runs.sh") + shell_script("probe.sh"),
        payload=payload,
        on_stdout=take,
        timeout=_SILENCE,
        deadline=_DEADLINE,
        cancel=cancel,
    )
    half_way = (started + time.time()) / 2
    if completed.exit_status != 0 or _FILES_FOLLOW not in answer:
        reason = completed.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise MoorageError(
            "the probe failed on the server: " + (reason[0] if reason else "no output"),
            advice="The server needs a POSIX shell and Debian's standard tools.",
            server=transport.server,
            code="probe_failed",
        )
    text, _, archive = bytes(answer).partition(_FILES_FOLLOW)
    try:
        return parse(transport.server, text.decode("utf-8", "replace"), archive, half_way, managed)
    except (ValueError, IndexError, OverflowError) as error:
        raise MoorageError(
            f"the probe's output is invalid: {error}.",
            server=transport.server,
            code="probe_failed",
        ) from error


def _first(answer: bytes) -> bytes:
    """Return the file that the beginning of the answer holds."""
    prefix = b"first\t"
    lines = answer.split(b"\n")
    return b"\n".join(line.removeprefix(prefix) for line in lines if line.startswith(prefix))


def parse(
    server: str, text: str, archive: bytes, now: float, managed: Sequence[str] = ("/",)
) -> Facts:
    """Parse the probe's output.

    Args:
        server: The server's label.
        text: The lines before the tar archive.
        archive: The tar archive; may be empty.
        now: The operator's clock when the probe ran, in seconds since 1970.
        managed: The requested paths; anything else in the archive is ignored.

    Raises:
        ValueError: A line does not have the probe's format; IndexError likewise.
        MoorageError: The archive is damaged.
    """
    rows: dict[str, list[list[str]]] = {}
    for line in text.split("\n"):
        name, _, rest = line.partition("\t")
        rows.setdefault(name, []).append(rest.split("\t"))

    def single(name: str) -> str:
        return rows[name][0][0] if name in rows else ""

    files, folders = _read_archive(server, archive, managed)
    for mode, owner, group, path in rows.get("folder", []):
        folders[path] = ManagedFolder(path, int(mode, 8), owner, group)
    unsettled = rows.get("unsettled", [])
    clock = _seconds(single("clock") or str(now))
    return Facts(
        server=server,
        clock=clock,
        clock_skew=clock - now,
        os=_os_release(row[0] for row in rows.get("os", [])),
        architecture=single("architecture"),
        hostname=single("hostname"),
        systemd="systemd" in rows,
        ipv6="ipv6" in rows,
        memory=int(single("memory") or 0) * 1024,
        addresses6=tuple(_address6(row[0]) for row in rows.get("address6", [])),
        packages={
            row[0]: row[1]
            for row in rows.get("package", [])
            # The first letter is the desired state (h: on hold), the second the actual one.
            if len(row) in {3, 4} and row[2][1:] == "i "
        },
        held=tuple(row[0] for row in unsettled if row[1].startswith("h")),
        half_installed={
            row[0]: row[1] for row in unsettled if row[1][1:] != "i " and "apt_runs" not in rows
        },
        read_only=frozenset(row[0] for row in rows.get("read_only", [])),
        apt_runs="apt_runs" in rows,
        tools=frozenset(row[0] for row in rows.get("tool", [])),
        services=_services([row[0] for row in rows.get("service", [])]),
        failures={row[0]: row[1].strip(" .")[:_LONGEST_CAUSE] for row in rows.get("failure", [])},
        listeners=tuple(filter(None, (_listener(row[0]) for row in rows.get("listener", [])))),
        accounts={row[0]: (int(row[1]), int(row[2])) for row in rows.get("account", [])},
        # Two folders can be on the same disk.
        disks=tuple(dict.fromkeys(filter(None, (_disk(row[0]) for row in rows.get("disk", []))))),
        unfinished_uploads=int(single("uploads") or 0) * 1024,
        files=files,
        folders=folders,
        store=_store(rows.get("store", [])),
        image=single("image") or None,
        programs={row[0]: row[1] for row in rows.get("program", [])},
        images={
            path: ImagesFolder(has == "yes", marker) for path, has, marker in rows.get("images", [])
        },
        candidates={
            row[0]: Candidate(row[1], row[2] == "security") for row in rows.get("candidate", [])
        },
        lists_at=max((_seconds(row[0]) for row in rows.get("lists", [])), default=None),
        offers_njs=single("njs") == "yes" if "njs" in rows else None,
        certbot_log=tuple(row[0] for row in rows.get("certbot_log", [])),
        certbot_next=_seconds(single("certbot_next")) if single("certbot_next") else None,
        collect_next=_seconds(single("collect_next")) if single("collect_next") else None,
        collection=tuple(map(tuple, rows.get("collection", []))),
        nginx=_nginx(rows, managed),
        zone=single("zone") or "+0000",
        runs=tuple(
            RunRecord(
                run_id,
                running == "yes",
                _seconds(changed),
                step,
                read_result(status, reason) if status else None,
                [run_id] in rows.get("uninstall", []),
            )
            for run_id, running, changed, step, status, *reason in rows.get("run", [])
        ),
        draining=tuple(
            Draining(slot, _seconds(str(max(clock - int(age), 0))), int(transfers))
            for slot, age, transfers in rows.get("draining", [])
            if slot in {"blue", "green"}
        ),
    )


def _seconds(text: str) -> float:
    """Parse a time in seconds since 1970.

    Raises:
        ValueError: It is not a valid date.
    """
    seconds = float(text)
    if not 0 <= seconds <= _LAST_SECOND:
        raise ValueError(f"{text[:40]} is not a time")
    return seconds


def _address6(digits: str) -> str:
    return str(ipaddress.IPv6Address(bytes.fromhex(digits)))


def _nginx(rows: Mapping[str, list[list[str]]], managed: Sequence[str]) -> NginxFacts | None:
    if "nginx_dump" not in rows:
        return None
    dump = "\n".join("\t".join(row) for row in rows["nginx_dump"])
    packages = rows.get("package", [])
    maintainer = next((row[3] for row in packages if row[0] == "nginx" and len(row) == 4), "")
    return read_nginx(dump, maintainer, managed)


def _os_release(lines: Iterable[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in lines:
        name, separator, value = line.partition("=")
        if separator:
            fields[name] = value.strip("\"'")
    return fields


def _services(lines: list[str]) -> dict[str, Service]:
    services: dict[str, Service] = {}
    fields: dict[str, str] = {}
    for line in [*lines, ""]:
        name, separator, value = line.partition("=")
        if separator:
            fields[name] = value
        elif fields:
            unit = fields.get("Id", "").removesuffix(".service")
            services[unit] = Service(
                unit, fields.get("ActiveState", ""), fields.get("UnitFileState", "")
            )
            fields = {}
    return services


def _listener(line: str) -> Listener | None:
    columns = line.split()
    if len(columns) < 4:
        return None
    address, _, port = columns[3].rpartition(":")
    program = re.search(r'\(\("([^"]+)"', line)
    return Listener(address.strip("[]"), int(port), program.group(1) if program else "")


def _store(rows: Sequence[list[str]]) -> Store | None:
    for folder, marker, mount, source, has_images in rows:
        is_marker = re.fullmatch(r"[0-9a-f]{16}", marker)
        return Store(folder, marker if is_marker else "", mount, source, has_images == "yes")
    return None


def _disk(line: str) -> Disk | None:
    """Parse a line of ``df --output``: the source, sizes in KiB, inodes, and the mount point."""
    columns = line.split(None, 9)
    if len(columns) < 10:
        return None
    total, free, inodes, free_inodes = (columns[number] for number in (1, 3, 5, 7))
    if not inodes.isdigit() or inodes == "0":
        return Disk(columns[9], int(total) * 1024, int(free) * 1024)
    return Disk(columns[9], int(total) * 1024, int(free) * 1024, int(inodes), int(free_inodes))


def _read_archive(
    server: str, archive: bytes, managed: Sequence[str]
) -> tuple[dict[str, ManagedFile], dict[str, ManagedFolder]]:
    files: dict[str, ManagedFile] = {}
    folders: dict[str, ManagedFolder] = {}
    if not archive:
        return files, folders
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            for member in members_of(tar, len(archive)):
                path = "/" + member.name.strip("/")
                if not _is_managed(path, managed):
                    continue
                mode = member.mode & 0o7777
                if member.isdir():
                    folders[path] = ManagedFolder(path, mode, member.uname, member.gname)
                    continue
                # A link in place of a file is drift: compare it by its target.
                content = member.linkname.encode()
                if member.isfile():
                    reader = tar.extractfile(member)
                    content = reader.read() if reader else b""
                link = member.linkname if member.issym() else ""
                files[path] = ManagedFile(path, content, mode, member.uname, member.gname, link)
    # Python's tarfile follows chains of headers recursively.
    except (tarfile.TarError, RecursionError, EOFError) as error:
        raise MoorageError(
            f"the probe's archive is damaged: {error}", server=server, code="probe_failed"
        ) from error
    return files, folders


def members_of(tar: tarfile.TarFile, size: int) -> Iterator[tarfile.TarInfo]:
    """Yield the members of a tar archive from a server, checking sizes and offsets.

    Args:
        tar: The archive.
        size: Its size in bytes.

    Raises:
        tarfile.TarError: A member is larger than the archive or overlaps the one before.
    """
    end = 0
    while (member := tar.next()) is not None:
        if member.offset < end or not 0 <= member.size <= size or member.issparse():
            raise tarfile.ReadError("a member has an impossible size")
        end = member.offset + tarfile.BLOCKSIZE
        yield member


def _is_managed(path: str, managed: Sequence[str]) -> bool:
    if ".." in path.split("/"):
        return False
    return any(path == each or path.startswith(f"{each.rstrip('/')}/") for each in managed)
