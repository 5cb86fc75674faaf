"""Kept deployments: everything in them can have been written by root on the server."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from moorage.answers.model import Answers
from moorage.answers.record import without_secrets
from moorage.deploy.lifecycle.diff import compare
from moorage.deploy.lifecycle.kept import ServerDeployments, parse
from moorage.deploy.lifecycle.rollback import choose
from moorage.deploy.record.merge import answers_gone_back
from moorage.desired import layout
from moorage.errors import MoorageError, ServersFailed
from moorage.servers.transport import Completed

SHA = "a" * 64
PROGRAM = f'MOORAGE_RUNTIME="package"\nMOORAGE_PROGRAM="{layout.PROGRAMS}/{SHA}"\n'
FILES = {
    layout.config_path("blue"): b"log: {level: info}\n",
    layout.slot_env_path("blue"): b'MOORAGE_SOCKET="/run/moorage-registry/blue/registry.sock"\n',
    layout.REGISTRY_ENV: b'REGISTRY_HTTP_SECRET="hidden-in-diffs"\n',
    layout.UNIT: b"[Service]\nEnvironmentFile=/etc/moorage/registry/%i/program.env\n",
    layout.NGINX_SITE: b"server {}\n",
    layout.UPSTREAM: b"upstream {}\n",
}
Members = dict[str, tuple[bytes, dict[str, Any]]]


def answers_of(**parts: Any) -> Answers:
    document: dict[str, Any] = {
        "registry": {"domain": "registry.example.test"},
        "servers": [{"host": "one.example.test"}],
        "credentials": {"users": [{"name": "ci", "password": {"env": "CI_PW"}}]},
    }
    return Answers.model_validate(document | parts)


def run_id(number: int) -> str:
    return f"2026010{number}T000000000-abcd"


def record_of(
    number: int, answers: Answers | None = None, files: Mapping[str, bytes] = FILES
) -> dict[str, Any]:
    at = f"2026-01-0{number}T00:00:00Z"
    history = [{"revision": number, "by": "ana@laptop", "at": at}]
    digests = {path: hashlib.sha256(each).hexdigest() for path, each in files.items()}
    values = without_secrets(answers or answers_of())
    return {
        "run": run_id(number), "revision": number, "by": "ana@laptop", "at": at,
        "deployed_at": at, "history": history, "slot": "blue", "server": "one.example.test",
        "registry_version": "2.8.2", "answers": values, "digests": digests,
    }  # fmt: skip


def members(
    number: int, record: Mapping[str, Any] | None = None, files: Mapping[str, bytes] = FILES
) -> Members:
    folder = f"./{run_id(number)}"
    known = record or record_of(number, files=files)
    found: Members = {f"{folder}/deployment.json": (json.dumps(known).encode(), {})}
    found |= {f"{folder}/files{path}": (content, {}) for path, content in files.items()}
    found[f"{folder}/program.env"] = (PROGRAM.encode(), {})
    return found


def read(
    current: Mapping[str, Any], *kept: Members, server: str = "one.example.test"
) -> ServerDeployments:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        every = {"deployment.json": (json.dumps(current).encode(), {})}
        for one in kept:
            every |= one
        for name, (content, more) in every.items():
            member = tarfile.TarInfo(name)
            member.uname = member.gname = "root"
            member.mode, member.size = 0o644, len(content)
            for key, value in more.items():
                setattr(member, key, value)
            tar.addfile(member, io.BytesIO(content) if member.isfile() else None)
    return parse(server, Completed(0, gzip.compress(buffer.getvalue()), b""))


def at_files(number: int, path: str, content: bytes = b"x", **more: Any) -> Members:
    return {f"./{run_id(number)}/files{path}": (content, more)}


SITE = FILES[layout.NGINX_SITE]
LINK = {"type": tarfile.SYMTYPE, "linkname": "/etc/shadow", "size": 0}


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        (at_files(1, "/etc/shadow"), "is not a file that Moorage deploys"),
        (at_files(1, "/etc/moorage/../shadow"), "is not a file that Moorage deploys"),
        (at_files(1, layout.HTPASSWD), "is not a file that Moorage deploys"),
        (at_files(1, layout.DEPLOYMENT), "is not a file that Moorage deploys"),
        (at_files(1, "/etc/moorage/a\tb"), "is not a file that Moorage deploys"),
        (at_files(1, "/etc/moorage/added"), "is not as it was deployed"),
        (at_files(1, layout.NGINX_SITE, b"other"), "is not as it was deployed"),
        (at_files(1, layout.NGINX_SITE, **LINK), "is not a regular file"),
        (at_files(1, layout.NGINX_SITE, SITE, uname="eve"), "belongs to eve"),
        (at_files(1, layout.NGINX_SITE, SITE, gname="a\nb"), "belongs to root"),
        ({f"./{run_id(1)}/program.env": (b'MOORAGE_PROGRAM="/bin/sh"\n', {})}, "names no program"),
        ({f"./{run_id(1)}/deployment.json": (b"{}", {})}, "its record is missing"),
    ],
)
def test_what_moorage_does_not_deploy_is_not_restored(more: Members, fault: str) -> None:
    found = read(record_of(2), {**members(1), **more})
    assert fault in found.kept[0].fault
    with pytest.raises(ServersFailed, match="is damaged"):
        choose([found], answers_of())


def test_a_deployment_that_lacks_a_file_is_not_restored() -> None:
    files = {path: each for path, each in FILES.items() if path != layout.NGINX_SITE}
    assert "is missing" in read(record_of(2), members(1, files=files)).kept[0].fault


def test_modes_do_not_bring_setuid_back() -> None:
    more = at_files(1, layout.NGINX_SITE, SITE, mode=0o4755)
    kept = read(record_of(2), {**members(1), **more}).kept[0]
    assert not kept.fault
    assert kept.facts.files[layout.NGINX_SITE].mode == 0o755


@pytest.mark.parametrize(
    "spoil", [lambda packed: packed[:20], lambda packed: b"no gzip", lambda packed: b""]
)
def test_damaged_output_is_an_error(spoil: Callable[[bytes], bytes]) -> None:
    packed = gzip.compress(b"\0" * 10240)
    with pytest.raises(MoorageError) as caught:
        parse("one.example.test", Completed(0, spoil(packed), b""))
    assert caught.value.code == "deployments_unreadable"


def test_the_deployment_before_is_the_one_that_the_current_one_replaced() -> None:
    # As after a rollback: the third is the first again.
    found = read(record_of(3), members(1), members(2), members(3))
    assert choose([found], answers_of()).revision == 2
    assert choose([found], answers_of(), 1).revision == 1
    with pytest.raises(MoorageError) as caught:
        choose([found], answers_of(), 7)
    assert caught.value.code == "deployment_not_kept"


def test_changes_of_users_do_not_change_a_deployments_revision() -> None:
    record = record_of(2)
    record |= {"revision": 4, "at": "2026-01-04T00:00:00Z"}
    record["history"] += [{"revision": 4, "by": "bob", "at": "2026-01-04T00:00:00Z"}]
    found = read(record, members(1), members(2, record))
    assert found.current.revision == 2
    assert [each.revision for each in found.kept] == [2, 1]


def test_changes_of_users_in_the_same_second_are_not_taken_for_the_deployment() -> None:
    record = record_of(2) | {"revision": 4, "deployed_revision": 3}
    [line] = record["history"]
    record["history"] = [line, line | {"revision": 3}, line | {"revision": 4, "added": ["ana"]}]
    assert read(record).current.revision == 3
    # Earlier versions recorded only when.
    del record["deployed_revision"]
    assert read(record).current.revision == 2


def test_servers_that_had_different_answers_do_not_go_back_together() -> None:
    """An apply that reached one server only is left out."""
    other = answers_of(registry={"domain": "registry.example.test", "port": 8443})
    one = read(record_of(3), members(1), members(2, record_of(2, other)), members(3))
    two = read(record_of(3), members(1), members(3))
    assert choose([one, two], answers_of()).revision == 1
    with pytest.raises(ServersFailed, match="other answers"):
        choose([one, two], answers_of(), 2)


def test_edits_that_were_not_applied_and_would_be_replaced_are_named() -> None:
    def level(name: str, **more: Any) -> dict[str, Any]:
        return {"domain": "registry.example.test", "settings": {"log": {"level": name}}} | more

    applied = answers_of(registry=level("info"))
    found = read(
        record_of(2, applied), members(1, record_of(1, answers_of(registry=level("debug"))))
    )
    assert choose([found], applied).replaced == ()
    edited = answers_of(
        registry=level("warn", port=8443),
        ssl={"hsts": 3600},
        dns={"provider": "manual"},
        servers=[{"host": "one.example.test", "user": "deploy"}],
        credentials={"users": [{"name": "bob", "password": {"env": "BOB_PW"}}]},
    )
    rollback = choose([found], edited)
    assert rollback.replaced == ("registry.port", "registry.settings", "ssl.hsts")
    assert rollback.answers.credentials == edited.credentials
    # The same value as the one that comes back is not lost.
    assert choose([found], answers_of(registry=level("debug"))).replaced == ()


def test_the_servers_of_another_registry_do_not_go_back() -> None:
    found = read(record_of(2) | {"domain": "registry.example.test"}, members(1))
    with pytest.raises(ServersFailed) as caught:
        choose([found], answers_of(registry={"domain": "other.example.test"}))
    assert caught.value.errors[0].code == "other_registry"


OLD_IMAGE, NEW_IMAGE = "docker.io/library/registry:2.8", "docker.io/library/registry:3.1.1"


def test_one_of_two_servers_goes_back_and_the_answers_keep_what_both_share() -> None:
    registry = {"domain": "registry.example.test", "runtime": "docker", "image": OLD_IMAGE}
    servers = [{"host": "one.example.test"}, {"host": "two.example.test"}]
    storage = {"driver": "s3", "s3": S3}
    before = answers_of(registry=registry, servers=servers, storage=storage)
    tried = [servers[0] | {"image": NEW_IMAGE}, servers[1]]
    now = answers_of(registry=registry | {"port": 8443}, servers=tried, storage=storage)
    found = read(record_of(2, now), members(1, record_of(1, before)), members(2))

    rollback = choose([found], now)

    assert rollback.answers.registry.port == 443
    after = rollback.answers_after
    assert [each.image for each in after.servers] == [None, None]
    assert after.registry == now.registry
    assert rollback.differ == ("registry.port",)
    assert rollback.replaced == ()
    # The other way round, the server gets what it had, not what all have now.
    tried[0] = servers[0]
    all_new = answers_of(registry=registry | {"image": NEW_IMAGE}, servers=servers, storage=storage)
    rollback = choose([found], all_new)
    assert [each.image for each in rollback.answers_after.servers] == [OLD_IMAGE, None]
    assert rollback.answers_after.registry.image == NEW_IMAGE
    assert rollback.differ == ()


def test_the_archive_of_that_time_is_named_but_not_opened() -> None:
    def with_archive(name: str) -> Answers:
        registry = {"runtime": "docker", "image": OLD_IMAGE, "image_archive": name}
        return answers_of(registry={"domain": "registry.example.test"} | registry)

    found = read(record_of(2), members(1, record_of(1, with_archive("images/r28.tar"))))
    rollback = choose([found], with_archive("missing.tar"))
    assert rollback.left == ("registry.image_archive",)
    assert rollback.answers.registry.image_archive is None
    assert rollback.left_text.endswith("again: registry.image_archive (it was images/r28.tar)")


def test_a_difference_masks_secrets_and_ignores_the_slot() -> None:
    level = answers_of(
        registry={"domain": "registry.example.test", "settings": {"log": {"level": "debug"}}}
    )
    green = {path.replace("/blue/", "/green/"): each.replace(b"/blue/", b"/green/")
             for path, each in FILES.items()}  # fmt: skip
    green[layout.REGISTRY_ENV] = b'REGISTRY_HTTP_SECRET="another-hidden-one"\n'
    record = record_of(2, level, green) | {"slot": "green"}
    found = read(record, members(1), members(2, record, green))
    diff = compare([found])
    assert [(each.path, each.before, each.after) for each in diff.answers] == [
        ("registry.settings.log.level", None, "debug")
    ]
    assert [each.subject for each in diff.servers[0].files] == [layout.REGISTRY_ENV]
    assert "hidden" not in repr(diff)
    assert "(revision 2)" in diff.servers[0].files[0].diff


@pytest.mark.parametrize(("before", "after"), [(7, None), (None, 7), (0, None), (1, 9)])
def test_only_revisions_that_exist_are_compared(before: int | None, after: int | None) -> None:
    record = record_of(2) | {"revision": 3, "deployed_revision": 2}
    found = read(record, members(1), members(2, record))
    with pytest.raises(MoorageError) as caught:
        compare([found], before, after)
    assert caught.value.code == "deployment_not_kept"
    assert "kept: 2, 1." in caught.value.advice
    # The third only changed users.
    assert compare([found], 1, 3).after == 3


def test_the_servers_of_two_registries_are_not_compared() -> None:
    one = read(record_of(2) | {"domain": "one.example.test"}, members(1))
    two = read(record_of(2) | {"domain": "two.example.test"}, members(1), server="two")
    with pytest.raises(ServersFailed) as caught:
        compare([one, two])
    assert [(each.server, each.code) for each in caught.value.errors] == [("two", "other_registry")]


def test_how_a_password_is_given_is_no_difference() -> None:
    generated = {"name": "bob", "password": {"generate": True}}
    record = record_of(
        2, answers_of(credentials={"users": [generated, generated | {"name": "eve"}]})
    )
    typed = {"name": "bob", "password": {"prompt": True}}
    before = record_of(1, answers_of(credentials={"users": [typed]}))
    [change] = compare([read(record, members(1, before), members(2, record))]).answers
    assert f"{change.path}  {change}" == "credentials.users[eve]  - → present"


def test_programs_of_the_same_version_are_told_apart_by_their_packages() -> None:
    then, now = (
        f'{PROGRAM}MOORAGE_PROGRAM_VERSION="2.8.2"\nMOORAGE_PACKAGE_VERSION="2.8.2-{number}"\n'
        for number in (1, 2)
    )
    files = [{f"./{run_id(number)}/program.env": (text.encode(), {})}
             for number, text in ((1, then), (2, now))]  # fmt: skip
    found = read(record_of(2), members(1) | files[0], members(2) | files[1])
    [server] = compare([found]).servers
    assert (server.before, server.after) == ("docker-registry 2.8.2-1", "docker-registry 2.8.2-2")


def test_answers_that_differ_are_named_as_in_the_file() -> None:
    rule = {"repositories": ["sandbox/*", "tmp/*"], "keep": {"last": 3}}
    other = rule | {"keep": {"last": 5}}
    records = [record_of(number, answers_of(retention=[each]))
               for number, each in ((1, rule), (2, other))]  # fmt: skip
    found = read(records[1], members(1, records[0]), members(2, records[1]))
    [change] = compare([found]).answers
    assert f"{change.path}  {change}" == "retention[sandbox/*, tmp/*].keep.last  3 → 5"


def test_a_deployment_from_before_programs_were_kept_can_only_be_compared() -> None:
    old = FILES | {layout.UNIT: b"[Service]\nExecStart=/usr/bin/docker-registry\n"}
    del old[layout.slot_env_path("blue")]
    found = read(record_of(2), members(1, files=old), members(2))
    with pytest.raises(ServersFailed) as refused:
        choose([found], answers_of())
    assert refused.value.errors[0].code == "deployment_too_old"
    assert layout.UNIT in {each.subject for each in compare([found]).servers[0].files}


S3 = {
    "bucket": "images", "region": "eu-central-1",
    "accesskey": {"env": "ACCESS"}, "secretkey": {"command": ["pass", "show", "s3"]},
}  # fmt: skip


def test_only_plain_values_come_from_a_server() -> None:
    hostile = answers_of(
        storage={"driver": "s3", "s3": S3 | {"region": "eu-west-1"}},
        hooks=[{"name": "drain", "script": "/etc/shadow", "when": ["before_apply"]},
               {"name": "gone", "script": "/etc/shadow", "when": ["before_apply"]}],
        ssl={"mode": "acme", "acme": {"email": "ops@example.test", "ca_file": "/etc/shadow"}},
    )  # fmt: skip
    then = read(record_of(2), members(1, record_of(1, hostile))).kept[0].recorded

    mine = answers_of(
        storage={"driver": "s3", "s3": S3 | {"accesskey": {"env": "MINE"}}},
        hooks=[{"name": "drain", "script": "drain.sh", "when": ["after_apply"]}],
    )
    merged = answers_gone_back(mine, then)
    s3 = merged.answers.storage.s3
    assert s3 is not None
    assert mine.storage.s3 is not None
    assert (s3.region, s3.accesskey, s3.secretkey) == (
        "eu-west-1", mine.storage.s3.accesskey, mine.storage.s3.secretkey,
    )  # fmt: skip
    assert [(each.name, each.script, each.when) for each in merged.answers.hooks] == [
        ("drain", "drain.sh", ("before_apply",))
    ]
    assert merged.answers.ssl.acme.email == "ops@example.test"
    assert merged.answers.ssl.acme.ca_file is None
    assert merged.answers.credentials == mine.credentials
    assert merged.left == ("hooks: gone",)

    without = answers_gone_back(answers_of(), then)
    assert without.answers.storage.s3 is not None
    assert "shadow" not in repr(without.answers)
    assert "pass" not in repr(without.answers.storage)
    assert {"storage.s3.accesskey", "storage.s3.secretkey"} < set(without.left)
