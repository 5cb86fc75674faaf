"""Rows of logs: levels, columns, filters, and lines that clients or a server forge."""

from __future__ import annotations

import json
import re

import pytest

from moorage.deploy.logs.rows import (
    CHECK_AGENT,
    CHECK_REPOSITORY,
    LONGEST_LINE,
    Level,
    LogFilter,
    LogRow,
    parse_statuses,
    row_of,
)
from moorage.deploy.logs.stream import LineReader
from moorage.errors import MoorageError
from moorage.escape import printable

BLOB = f"/v2/team/app/blobs/sha256:{'a' * 64}"


def request(
    status: int = 201,
    method: str = "PUT",
    path: str = "/v2/team/app/manifests/1",
    user: str = "ana",
    agent: str = "docker/27",
) -> str:
    """A line of nginx's log of requests."""
    return (
        f"2026-11-25T15:37:41+00:00\t{user}\t{status}\t{method}\t{path}\t192.0.2.7\t250\t0.3\t"
        f"{agent}\tunix:/run/moorage-registry/blue/registry.sock"
    )


def failed(
    status: int = 404, method: str = "HEAD", name: str = "team/app", level: str = "error"
) -> str:
    """A line of the registry's journal about a request."""
    return (
        f'2026-11-25T15:37:41+0000 docker-registry[6]: time="2026-11-25T15:37:41Z" level={level} '
        'msg="response completed with error" auth.user.name=ana err.code="blob unknown" '
        'err.detail="map[]" err.message="blob unknown to registry" go.version=go1.19.8 '
        f"http.request.remoteaddr=192.0.2.7 http.request.method={method} "
        f'http.request.uri="/v2/{name}/blobs/1" http.response.status={status} vars.name={name}'
    )


def discarded(name: str) -> str:
    """What the registry says when an upload is discarded."""
    return (
        '2026-11-25T15:37:41+0000 docker-registry[6]: time="2026-11-25T15:37:41Z" level=error '
        f'msg="error closing blobwriter: sync /srv/{name}/data: file already closed" '
        f'http.request.method=DELETE http.request.uri="/v2/{name}/blobs/uploads/1?_state=abc" '
        f"vars.name={name}"
    )


def row(line: str) -> LogRow:
    """The row of a line."""
    found = row_of("web1", line)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("line", "level"),
    [
        (request(201), Level.ROUTINE),
        (request(307, "GET", BLOB), Level.ROUTINE),
        (request(404, "HEAD", BLOB), Level.ROUTINE),  # how every push begins
        (request(404, "GET"), Level.WARNING),
        (request(401, "GET", "/v2/", user="-"), Level.ROUTINE),  # how every login begins
        (request(401, "GET", "/v2/"), Level.WARNING),
        (request(403), Level.WARNING),
        (request(429), Level.WARNING),
        (request(502), Level.ERROR),
        (failed(404), Level.ROUTINE),
        (failed(404, level="info"), Level.ROUTINE),
        (failed(400, "PUT"), Level.WARNING),
        (failed(500), Level.ERROR),
        (failed(500, name="error-pages", level="info"), Level.ERROR),
        (discarded(CHECK_REPOSITORY), Level.ROUTINE),
        (discarded("team/app"), Level.ERROR),
        ("2026-11-25T15:37:41+0000 systemd[1]: Failed to start it.", Level.ERROR),
        ("2026-11-25T15:37:41+0000 systemd[1]: Started it.", Level.INFO),
        ("2026/11/25 15:37:41 [warn] 7#7: *3 limiting connections", Level.WARNING),
        ("2026/11/25 15:37:41 [notice] 7#7: no error here", Level.INFO),
        ("2026/11/25 15:37:41 [crit] 7#7: accept() did not work", Level.ERROR),
    ],
)
def test_only_what_failed_for_a_client_is_an_error(line: str, level: Level) -> None:
    assert row(line).level is level


def test_a_request_is_in_columns_with_the_path_last() -> None:
    assert row(request()).text == (
        "Nov 25 15:37:41 201 PUT    ana        192.0.2.7       /v2/team/app/manifests/1"
    )
    assert " 192.0.2.7       /v2/team/app/blobs/sha256:aaaaaaaaaaaa… " in (
        row(request(404, "HEAD", BLOB)).text
    )


def test_long_names_do_not_shift_the_columns_and_are_in_full_at_the_end() -> None:
    usual = row(request(401, "GET", "/v2/")).text
    checked = row(request(401, "GET", "/v2/", user=CHECK_REPOSITORY, agent=CHECK_AGENT)).text
    assert checked.index("192.0.2.7") == usual.index("192.0.2.7")
    assert checked.endswith(f" user={CHECK_REPOSITORY}")
    remote = row(request().replace("192.0.2.7", "2001:db8:1234:5678::abcd:7")).text
    assert remote.index("/v2/") == row(request()).text.index("/v2/")
    assert remote.endswith(" address=2001:db8:1234:5678::abcd:7")


@pytest.mark.parametrize(
    ("width", "end"),
    [
        (200, " /v2/platform/very-long-service/manifests/1.1"),
        (95, " platform/very-long-service/manifests/1.1"),
        (76, " pla…vice/manifests/1.1"),
        (20, " pl…ce/manifests/1.1"),
    ],
)
def test_the_repository_gives_way_to_what_comes_after_it(width: int, end: str) -> None:
    shown = row(request(path="/v2/platform/very-long-service/manifests/1.1"))
    fitted = shown.fitted(width)
    assert fitted.endswith(end)
    assert len(fitted) <= max(width, 54 + len(end) - 1)
    assert shown.text.endswith(" /v2/platform/very-long-service/manifests/1.1")


def test_the_reason_is_before_the_path() -> None:
    assert row(failed(400, "PUT")).text.startswith(
        "Nov 25 15:37:41 400 PUT    ana        192.0.2.7       blob unknown to registry: "
        "/v2/team/app/blobs/1"
    )


def test_a_digest_is_not_a_reason() -> None:
    line = failed(404, "GET").replace('"map[]"', f"sha256:{'d' * 64}")
    assert "blob unknown to registry: /v2/team/app/blobs/1" in row(line).text


@pytest.mark.parametrize("zone", ["+0000", "+00:00", "-0330", "Z"])
def test_times_are_in_one_format(zone: str) -> None:
    expected = {"+0000": "+00:00", "-0330": "-03:30"}.get(zone, zone)
    for line in (failed(), "2026-11-25T15:37:41+0000 systemd[1]: Started it."):
        found = row(re.sub(r"41\+00:?00", f"41{zone}", line, count=1))
        assert found.as_json()["at"] == f"2026-11-25T15:37:41{expected}"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('2026-11-25T15:37:41+0000 registry[6]: time="2026-11-25T15:37:41Z" level=info msg="is up" '
         "service=r go.version=1 port=5000", "Nov 25 15:37:41 is up port=5000"),
        ("2026-11-25T15:37:41+0000 systemd[1]: Started it.",
         "Nov 25 15:37:41 systemd: Started it."),
        ("2026/11/25 15:37:42 [error] 7#7: *18 no", "Nov 25 15:37:42 nginx: error: no"),
        ("2026/11/25 15:37:42 unlike nginx", "2026/11/25 15:37:42 unlike nginx"),
    ],
)  # fmt: skip
def test_a_line_repeats_nothing(line: str, shown: str) -> None:
    assert row(line).text == shown


def test_the_registry_can_log_as_json() -> None:
    fields = {
        "level": "error", "msg": "x", "err.message": "disk full", "http.request.method": "PUT",
        "http.request.uri": "/v2/a/blobs/1", "http.response.status": 507,
        "http.request.remoteaddr": "192.0.2.7",
    }  # fmt: skip
    found = row(f"2026-11-25T15:37:41+0000 registry[6]: {json.dumps(fields)}")
    assert (found.status, found.level, found.repository) == (507, Level.ERROR, "a")
    assert "507 PUT    -          192.0.2.7       disk full: /v2/a/blobs/1" in found.text


def test_completed_requests_are_only_in_nginx_log() -> None:
    line = '{"level":"info","msg":"response completed","http.request.method":"GET"}'
    assert row_of("web1", f"2026-11-25T15:37:41+0000 registry[6]: {line}") is None


@pytest.mark.parametrize(
    ("line", "is_check"),
    [
        (request(201, path=f"/v2/{CHECK_REPOSITORY}/manifests/1"), True),
        (request(200, "GET", "/v2/", agent=CHECK_AGENT), True),
        (request(401, "GET", "/v2/", user="-", agent="moorage-failover"), True),
        (request(401, "GET", "/v2/", user=CHECK_REPOSITORY, agent=CHECK_AGENT), True),
        (request(404, "GET", path=f"/v2/{CHECK_REPOSITORY}/manifests/1"), True),
        (request(404, "GET", "/v2/moorage-health/tags/list", user="-"), True),
        (request(), False),
        (request(201, path="/v2/moorage-health/manifests/1"), False),
        # A client that calls itself a check can hide neither guesses nor pushes.
        (request(401, "GET", "/v2/", agent=CHECK_AGENT), False),
        (request(429, "GET", "/v2/", agent=CHECK_AGENT), False),
        (request(401, "GET", f"/v2/{CHECK_REPOSITORY}/tags/list"), False),
        (request(201, agent=CHECK_AGENT), False),
        (request(500, path=f"/v2/{CHECK_REPOSITORY}/manifests/1"), False),
    ],
)
def test_only_moorages_own_checks_count_as_checks(line: str, is_check: bool) -> None:
    found = row(line)
    assert found.is_check is is_check
    assert ("[check]" in found.text) is is_check
    assert LogFilter(with_checks=False).shows(found) is not is_check
    assert not is_check or found.level is Level.ROUTINE


@pytest.mark.parametrize(
    ("shown", "shows"),
    [
        (LogFilter(), True),
        (LogFilter(user="ana"), True),
        (LogFilter(user="an"), False),
        (LogFilter(repository="team"), True),
        (LogFilter(repository="team/app"), True),
        (LogFilter(repository="team/ap"), False),
        (LogFilter(repository="app"), False),
        (LogFilter(statuses=("201",)), True),
        (LogFilter(statuses=("404", "2xx")), True),
        (LogFilter(statuses=("4xx",)), False),
        (LogFilter(level=Level.INFO), False),
    ],
)
def test_filters(shown: LogFilter, shows: bool) -> None:
    assert shown.shows(row(request())) is shows


def test_repositories_are_found_behind_escapes() -> None:
    assert row(request(path="/v2/te%61m/app/manifests/1")).repository == "team/app"
    assert row(request(path="/v2/team/blobs/x/manifests/1?ns=a/b")).repository == "team/blobs/x"
    assert row(request(path="/v2/_catalog")).repository == ""


def test_statuses_are_numbers_or_classes() -> None:
    assert parse_statuses(" 404, 5XX ") == ("404", "5xx")
    assert parse_statuses("") == ()
    for wrong in ("40", "4x", "999", "404-500", "4xx\x1b", "٤٠٤"):
        with pytest.raises(MoorageError):
            parse_statuses(wrong)


HOSTILE = [
    "", "\x00\x1b[2J\x9b31m", "\t" * 12, '="', "level=error", "=" * 9000,
    "2026-11-25T15:37:41+0000 registry[6]: {",
    "2026-11-25T15:37:41+0000 registry[6]: " + "[" * 9000,
    "2026-11-25T15:37:41+0000 registry[6]: " + '{"a":' * 3000,
    '2026-11-25T15:37:41+0000 registry[6]: {"level":[],"msg":{"level":"error"}}',
    '2026-11-25T15:37:41+0000 registry[6]: {"level":"error","msg":NaN,"x":1e999}',
    "2026-11-25T15:37:41+0000 registry[6]: " + '{"level":"info","msg":' + "9" * 6000 + "}",
    "2026-00-99T99:99:99+99:99\tx\t999\tGET\t/\t-\t-\t-\t-",
    "2026/00/99 99:99:99 [error] 1#1: x",
    "2026-11-25T15:37:41+0000 registry[6]: level=error msg=x http.request.uri=/ "
    "http.request.method=GET http.response.status=99999999999999999999",
    "2026-11-25T15:37:41+0000 registry[6]: " + 'level=error msg="' + "\\" * 9001,
]  # fmt: skip


@pytest.mark.parametrize("line", HOSTILE)
def test_a_hostile_line_is_one_inert_line(line: str) -> None:
    found = row(line)
    shown = printable(found.text)
    assert "\n" not in shown
    assert "\x1b" not in shown
    assert found.instant >= 0
    json.dumps(found.as_json())


def test_values_cannot_look_like_other_columns() -> None:
    found = row(request(401, "GET", "/v2/", user="ana 192.0.2.1 /v2/"))
    assert found.user == "ana 192.0.2.1 /v2/"
    assert '401 GET    "ana…/v2/" 192.0.2.7       /v2/ user="ana 192.0.2.1 /v2/"' in found.text
    assert "[check]" not in row(request(path="/v2/[check]", agent="[check]")).text[:60]


def test_values_cannot_look_like_other_fields() -> None:
    quoted = row(failed().replace('uri="/v2', 'uri="/v2 level=panic http.response.status=200 /v2'))
    assert (quoted.status, quoted.level) == (404, Level.ROUTINE)
    repeated = row(failed(500) + " http.response.status=200 level=info auth.user.name=bob")
    assert (repeated.status, repeated.user) == (500, "ana")
    cut = row(
        "2026-11-25T15:37:41+0000 docker-registry[6]: level=info msg=x "
        'http.request.useragent="cut http.request.uri=/v2/ http.request.method=GET'
    )
    assert (cut.level, cut.method) == (Level.INFO, "")


def test_a_line_break_in_json_is_no_line_break() -> None:
    line = json.dumps({"level": "error", "msg": "a\nNov 25 15:37:41 201 PUT ana"})
    assert "error: a\\nNov" in row(f"2026-11-25T15:37:41+0000 registry[6]: {line}").text


def test_a_huge_line_is_cut_and_takes_no_memory() -> None:
    reader = LineReader("web1")
    for _ in range(64):
        assert reader.read(b"x" * 1024 * 1024) == []
        assert len(reader._rest) <= LONGEST_LINE + 1
    cut, following = reader.read(b"\n" + request().encode() + b"\n")
    assert cut.text == "x" * LONGEST_LINE + " …"
    assert following.user == "ana"


def test_lines_can_arrive_in_pieces() -> None:
    line = request(user="an\u00e4").encode() + b"\r\n"
    reader = LineReader("web1")
    rows = [each for byte in line for each in reader.read(bytes([byte]))]
    assert [each.user for each in rows] == ["anä"]
    reader.read(b"unfinished")
    assert [each.text for each in reader.end()] == ["unfinished"]
    assert reader.end() == []
    assert LineReader("web1").read(b"\xff\xfe\n")[0].text == "\ufffd\ufffd"


def test_times_without_a_zone_are_in_the_zone_of_the_server() -> None:
    reader = LineReader("web1")
    first = "2026-11-25T15:37:41.123456+0100 systemd[1]: Started it.\n"
    rows = reader.read(f"{first}2026/11/25 15:37:42 [error] 7#7: x\n".encode())
    assert [each.at for each in rows] == [
        "2026-11-25T15:37:41.123456+01:00",
        "2026-11-25T15:37:42+01:00",
    ]
    assert 0.8 < rows[1].instant - rows[0].instant < 0.9
