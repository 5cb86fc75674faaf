"""What an apply means for people, decided on made-up facts: each kind, and its limits."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.answers.model import Answers
from moorage.answers.record import without_secrets
from moorage.answers.secrets import Secret
from moorage.deploy.certificates import ca
from moorage.deploy.materials import gather
from moorage.deploy.plan.acceptance import Accepted
from moorage.deploy.plan.consequences import (
    Code,
    Consequence,
    find_consequences,
    refusals,
    users_of,
)
from moorage.deploy.record.left_servers import find_left, why_record
from moorage.deploy.record.revisions import NO_CHANGE, UNRECORDED, as_record, latest
from moorage.desired import layout
from moorage.desired.state import Materials
from moorage.desired.users import RegistryUser, user_files
from moorage.servers.facts import Facts, ImagesFolder, ManagedFile, Store

DOMAIN = "registry.example.com"
ANA, BOB, CI = (RegistryUser(name, f"hash of {name}") for name in ("ana", "bob", "ci"))
S3 = {"driver": "s3", "s3": {"bucket": "images", "region": "eu-central-1"}}


def answers(**parts: Any) -> Answers:
    document: dict[str, Any] = {
        "registry": {"domain": DOMAIN},
        "servers": [{"host": "one"}],
        "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
        "ssl": {"mode": "none"},
    }
    for name, part in parts.items():
        both = isinstance(part, dict) and isinstance(document.get(name), dict)
        document[name] = {**document[name], **part} if both else part
    return Answers.model_validate(document)


def deployed(
    recorded: Answers,
    people: tuple[RegistryUser, ...] = (CI,),
    *,
    server: str = "one",
    certificate: bytes | None = None,
    images: dict[str, ImagesFolder] | None = None,
    **record: Any,
) -> Facts:
    """The facts of a server that answers were applied to."""
    contents = user_files(people)
    if certificate is not None:
        contents[layout.TLS_CERTIFICATE] = certificate
    noted = {
        "domain": recorded.registry.domain,
        "server": server,
        "answers": without_secrets(recorded),
        "users": {"revision": 1, "declared": [user.name for user in people]},
        **record,
    }
    contents[layout.DEPLOYMENT] = json.dumps(noted).encode()
    return Facts(
        server,
        files={
            path: ManagedFile(path, content, 0o640, "root", "root")
            for path, content in contents.items()
        },
        images=images or {},
    )


def materials(users: tuple[RegistryUser, ...] = (CI,), **more: Any) -> Materials:
    return Materials(Secret("http"), Secret("auth"), users=users, **more)


def found(
    wanted: Answers,
    facts: Facts | tuple[Facts, ...],
    gathered: Materials | None = None,
    outside: tuple[Facts, ...] = (),
) -> dict[Code, Consequence]:
    every = facts if isinstance(facts, tuple) else (facts,)
    left = find_left(wanted, (*every, *outside))
    consequences = find_consequences(
        wanted, gathered or materials(), every, left=left, outside=outside
    )
    return {each.code: each for each in consequences}


def test_reapplying_has_no_consequences() -> None:
    assert found(answers(), deployed(answers())) == {}


def test_a_first_apply_adds_users_and_is_not_destructive() -> None:
    gathered = materials((ANA, CI), generated={"ci": Secret("x")})
    result = found(answers(), Facts("one"), gathered)
    assert set(result) == {Code.USERS_ADDED, Code.PASSWORDS_GENERATED}
    assert result[Code.USERS_ADDED].text == "2 users are added: ana, ci."
    assert result[Code.PASSWORDS_GENERATED].text == "A password is generated for ci."
    assert not any(each.is_destructive for each in result.values())


def test_a_repository_without_a_slash_is_explained_with_the_change() -> None:
    def pulls(*rules: str) -> Materials:
        return materials((CI, RegistryUser("ana", "hash of ana", "pull", rules)))

    note = "team-a is one repository; team-a/* is everything below it"
    added = found(answers(), deployed(answers()), pulls("team-a"))[Code.USERS_ADDED]
    assert (added.note, added.sentence(1)) == (note, f"1 user is added: ana. {note}.")
    had = deployed(answers(), pulls("team-a/*", "b/c").users)
    assert found(answers(), had, pulls("team-a"))[Code.ACCESS_REDUCED].note == note
    assert found(answers(), had, pulls("team-a/*", "b/*"))[Code.ACCESS_WIDENED].note == ""


# --- users ------------------------------------------------------------------------------------


def history(*changes: dict[str, Any]) -> dict[str, Any]:
    revision = UNRECORDED
    record: dict[str, Any] = {}
    for change in changes:
        made = revision.following(None, replace(NO_CHANGE, **change))
        record = as_record(revision, made)
        facts = Facts(
            "one",
            files={
                layout.DEPLOYMENT: ManagedFile(
                    layout.DEPLOYMENT, json.dumps(record).encode(), 0o600, "root", "root"
                )
            },
        )
        revision = latest([facts])
    return record


def test_removed_users_are_listed_and_need_acceptance_if_the_base_lacks_them() -> None:
    record = history({"added": ("ci", "bob")}, {"added": ("ana",)})
    there = deployed(answers(), (ANA, BOB, CI), **record)
    for based_on, unknown in ((2, ()), (1, ("ana",)), (None, ("ana", "bob")), (3, ("ana", "bob"))):
        removed = found(answers(based_on=based_on), there)[Code.USERS_REMOVED]
        assert removed.text == "2 users are removed: ana, bob."
        assert removed.is_destructive
        assert removed.users == ("ana", "bob")
        assert removed.unknown == unknown
        assert removed.needs == ("removals" if unknown else None)


def test_removals_need_acceptance_if_the_base_is_older_than_the_history() -> None:
    record = history({"added": ("ana",)}, *[{"changed": ("ci",)}] * 25)
    there = deployed(answers(), (ANA, CI), **record)
    assert found(answers(based_on=3), there)[Code.USERS_REMOVED].unknown == ("ana",)
    assert found(answers(based_on=20), there)[Code.USERS_REMOVED].unknown == ()


def test_a_user_added_by_hand_is_not_removed_silently() -> None:
    two = answers(servers=[{"host": "one"}, {"host": "two"}], storage=S3, based_on=0)
    every = (
        deployed(two, (CI,)),
        deployed(two, (CI, BOB), server="two", users={"revision": 0, "declared": ["ci"]}),
    )
    removed = found(two, every)[Code.USERS_REMOVED]
    assert (removed.users, removed.servers, removed.unknown) == (("bob",), ("two",), ("bob",))
    assert removed.sentence(2) == "1 user is removed: bob. (two)"


def test_another_domain_lists_all_users_as_removed() -> None:
    there = deployed(answers(), (ANA, CI), **history({"added": ("ana",)}))
    wanted = answers(registry={"domain": "other.example.com"}, based_on=1)
    result = found(wanted, there)
    assert result[Code.USERS_REMOVED].needs == "removals"
    assert result[Code.NAME_NOT_SERVED].text == (
        f"{DOMAIN} will no longer be served: the registry's name becomes other.example.com."
    )
    assert list(result)[:2] == [Code.NAME_NOT_SERVED, Code.USERS_REMOVED]


@pytest.mark.parametrize(
    ("was", "now", "shrinks"),
    [
        (("push", ()), ("pull", ()), True),
        (("pull", ()), ("push", ()), False),
        (("push", ()), ("push", ("team/*",)), True),
        (("push", ("team/*",)), ("push", ()), False),
        (("push", ("team/app",)), ("push", ("team/*",)), False),
        (("push", ("team/*",)), ("push", ("team/app",)), True),
        (("push", ("a/x", "b/*")), ("push", ("b/*",)), True),
        (("push", ("team/*",)), ("push", ("teams/*",)), True),
    ],
)
def test_reduced_access_is_a_consequence(was: Any, now: Any, shrinks: bool) -> None:
    before, after = (replace(CI, access=each[0], repositories=each[1]) for each in (was, now))
    result = found(answers(), deployed(answers(), (before,)), materials((after,)))
    assert (Code.ACCESS_REDUCED in result) is shrinks


def test_disabled_users_and_new_passwords_are_consequences() -> None:
    now = (replace(ANA, disabled=True), replace(CI, hash="another"))
    result = found(answers(), deployed(answers(), (ANA, CI)), materials(now))
    assert result[Code.USERS_DISABLED].users == ("ana",)
    assert result[Code.PASSWORDS_REPLACED].users == ("ci",)
    assert all(each.is_destructive for each in result.values())


OFF = replace(ANA, disabled=True)
LIMITED = replace(ANA, repositories=("x/*",))


@pytest.mark.parametrize(
    ("change", "there", "wanted"),
    [
        ({"changed": ("ana",)}, OFF, ANA),
        ({"changed": ("ana",)}, LIMITED, ANA),
        ({"changed": ("ana",)}, replace(ANA, access="pull"), ANA),
        ({"changed": ("ana",)}, replace(ANA, hash="rotated"), ANA),
        ({"removed": ("ana",)}, None, ANA),
    ],
)
@pytest.mark.parametrize("base", [1, None])
def test_stale_answers_restore_no_access_unless_accepted(
    change: dict[str, Any], there: RegistryUser | None, wanted: RegistryUser, base: int | None
) -> None:
    people = (CI, there) if there is not None else (CI,)
    facts = deployed(answers(), people, **history({"added": ("ana",)}, change))
    told = found(answers(based_on=base), facts, materials((wanted, CI)))
    regained = told[Code.ACCESS_REGAINED]
    assert (regained.users, regained.is_destructive) == (("ana",), True)
    [refused] = refusals(told.values(), Accepted(removals=frozenset({"ana"})))
    assert refused.code == "regained_not_accepted"
    assert "ana" in refused.message
    assert not refusals(told.values(), Accepted(regained=frozenset({"ana"})))
    # Answers that have seen it decide by themselves.
    knowing = found(answers(based_on=2), facts, materials((wanted, CI)))
    assert Code.ACCESS_REGAINED not in knowing


@pytest.mark.parametrize(("there", "wanted"), [(ANA, OFF), (ANA, LIMITED), (OFF, OFF)])
def test_stale_answers_can_reduce_access_that_others_changed(
    there: RegistryUser, wanted: RegistryUser
) -> None:
    facts = deployed(answers(), (CI, there), **history({}, {"changed": ("ana",)}))
    told = found(answers(based_on=1), facts, materials((wanted, CI)))
    assert Code.ACCESS_REGAINED not in told


def test_enabled_users_and_more_access_are_consequences() -> None:
    off, limited = replace(ANA, disabled=True), replace(CI, repositories=("x/*",))
    result = found(answers(), deployed(answers(), (off, limited)), materials((ANA, CI)))
    assert result[Code.USERS_ENABLED].users == ("ana",)
    assert result[Code.ACCESS_WIDENED].users == ("ci",)
    assert not any(each.is_destructive for each in result.values())


# --- the store --------------------------------------------------------------------------------


def stored(**section: Any) -> Answers:
    return answers(storage={"driver": "s3", "s3": {**S3["s3"], **section}})  # type: ignore[dict-item]


FOLDER = answers(storage={"driver": "filesystem", "filesystem": {"path": "/srv/images"}})


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (answers(), FOLDER),
        (FOLDER, answers(storage=S3)),
        (answers(storage=S3), FOLDER),
        (stored(), stored(bucket="other")),
        (stored(), stored(rootdirectory="/registry")),
        (stored(), stored(regionendpoint="https://minio.example.com:9000")),
    ],
)
def test_another_store_leaves_the_images_behind_and_needs_acceptance(
    was: Answers, now: Answers
) -> None:
    left = found(now, deployed(was))[Code.IMAGES_LEFT_BEHIND]
    assert left.is_destructive
    assert left.needs == "begin_empty"
    [refused] = refusals([left], Accepted())
    assert refused.code == "storage_has_images"
    assert "--begin-empty" in refused.advice
    assert refusals([left], Accepted(begin_empty=True)) == ()


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (stored(), stored(region="us-east-1", chunksize=20 * 1024**2)),
        (stored(), stored(regionendpoint="https://s3.eu-central-1.amazonaws.com")),
        (stored(rootdirectory="/registry/"), stored(rootdirectory="registry")),
        (
            stored(regionendpoint="http://minio.example.com:9000"),
            stored(regionendpoint="https://minio.example.com:9000/"),
        ),
        (FOLDER, answers(storage={"filesystem": {"path": "/srv/./images", "maxthreads": 200}})),
    ],
)
def test_different_spellings_of_one_store_are_equal(was: Answers, now: Answers) -> None:
    assert found(now, deployed(was)) == {}


def test_leaving_an_empty_folder_needs_no_acceptance() -> None:
    empty = deployed(FOLDER, images={"/srv/images": ImagesFolder(has_images=False)})
    changed = found(answers(), empty)[Code.STORAGE_CHANGED]
    assert not changed.is_destructive
    assert changed.needs is None
    full = deployed(FOLDER, images={"/srv/images": ImagesFolder(has_images=True)})
    assert Code.IMAGES_LEFT_BEHIND in found(answers(), full)
    store = {"folder": "/srv/images", "marker": "m", "mount": "/srv", "source": "/dev/sdb"}
    unmounted = replace(empty, files=deployed(FOLDER, store=store).files)
    assert Code.IMAGES_LEFT_BEHIND in found(answers(), unmounted)


def test_a_store_that_has_images_is_not_called_empty() -> None:
    images = {"/srv/images": ImagesFolder(has_images=False)}
    store = Store("/var/lib/moorage/registry", "m" * 16, "/", "/dev/sda", has_images=True)
    back = replace(deployed(FOLDER, images=images), store=store)
    changed = found(answers(), back)[Code.STORAGE_CHANGED]
    assert changed.text == (
        "The images in /var/lib/moorage/registry will be served; /srv/images has none."
    )
    both = replace(back, images={"/srv/images": ImagesFolder(has_images=True)})
    left = found(answers(), both)[Code.IMAGES_LEFT_BEHIND]
    assert left.text.endswith("the registry serves the images in /var/lib/moorage/registry.")
    unknown = found(answers(storage=S3), both)[Code.IMAGES_LEFT_BEHIND]
    assert "begins empty" not in unknown.text


def test_a_different_machine_is_a_consequence() -> None:
    store = Store("/var/lib/moorage/registry", "", "/", "/dev/sda", has_images=False)
    bare = Facts("one", store=store)
    [told] = [
        each for each in found(answers(based_on=3), bare).values() if each.code == "new_server"
    ]
    assert "(revision 3)" in told.text
    assert "it begins empty (/var/lib/moorage/registry)" in told.text
    moved = replace(bare, store=replace(store, has_images=True))
    assert "Its images are served" in found(answers(based_on=3), moved)[Code.NEW_SERVER].text
    for never in (None, 0):
        assert Code.NEW_SERVER not in found(answers(based_on=never), bare)
    added = (deployed(answers(), server="one"), replace(bare, server="two"))
    assert Code.NEW_SERVER not in found(answers(based_on=3), added)


# --- certificates -----------------------------------------------------------------------------


@pytest.fixture
def authorities(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    monkeypatch.setenv("MOORAGE_STATE", str(tmp_path))
    return ca.create("One", DOMAIN), ca.create("Two", DOMAIN)


def test_a_ca_whose_key_is_elsewhere_is_a_consequence(authorities: tuple[Any, Any]) -> None:
    one, two = authorities
    private = answers(ssl={"mode": "private_ca"})
    there = deployed(private, certificate=one.issue(DOMAIN).certificate)
    same = materials(ca_certificate=one.certificate_pem)
    assert found(private, there, same) == {}
    other = materials(ca_certificate=two.certificate_pem, creates_ca=True)
    told = found(private, there, other)[Code.NEW_PRIVATE_CA]
    assert told.text == (
        "The certificate will be issued by a new private CA instead of One, because this machine "
        "does not have the key of the old one: every client has to trust it."
    )
    assert told.is_destructive
    assert told.note == (
        "Clients that trust only One fail until they get the new lines from 'moorage clients'"
    )


def test_a_certificate_from_another_ca_is_a_consequence(authorities: tuple[Any, Any]) -> None:
    one, two = authorities
    private = answers(ssl={"mode": "private_ca"})
    own = answers(ssl={"mode": "files", "files": {"certificate": "/c", "key": "/k"}})
    acme = answers(ssl={"mode": "acme"})
    staging = answers(ssl={"mode": "acme", "acme": {"staging": True}})
    there = deployed(own, certificate=one.issue(DOMAIN).certificate)
    private_materials = materials(ca_certificate=two.certificate_pem)
    assert found(private, there, private_materials)[Code.NEW_PRIVATE_CA].is_destructive
    to_public = found(acme, there)[Code.CERTIFICATE_AUTHORITY]
    assert not to_public.is_destructive
    assert not to_public.note
    from_private = deployed(private, certificate=one.issue(DOMAIN).certificate)
    to_own = found(own, from_private, materials(certificate=two.issue(DOMAIN).certificate))
    assert to_own[Code.CERTIFICATE_AUTHORITY].is_destructive
    assert to_own[Code.CERTIFICATE_AUTHORITY].sentence(1) == (
        "The certificate will be issued by Two instead of One: clients have to trust it. Clients "
        "that trust only One fail until they get the new lines from 'moorage clients'."
    )
    from_own = found(own, there, materials(certificate=two.issue(DOMAIN).certificate))
    assert from_own[Code.CERTIFICATE_AUTHORITY].before == "One"
    assert from_own[Code.CERTIFICATE_AUTHORITY].after == "Two"
    to_staging = found(staging, deployed(acme))[Code.CERTIFICATE_AUTHORITY]
    assert to_staging.is_destructive
    assert to_staging.before == "Let's Encrypt"
    again = materials(certificate=one.issue(DOMAIN).certificate)
    assert found(own, there, again) == {}
    assert found(acme, deployed(acme)) == {}


def test_turning_tls_off_or_on_is_a_consequence() -> None:
    private = answers(ssl={"mode": "private_ca"})
    assert found(answers(), deployed(private))[Code.TLS_OFF].is_destructive
    assert found(private, deployed(answers()))[Code.TLS_ON].is_destructive


# --- the rest ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("registry", "code", "destructive"),
    [
        ({"port": 8443}, Code.PORT_CHANGED, True),
        ({"runtime": "docker"}, Code.RUNTIME_CHANGED, False),
        ({"version": "3"}, Code.REGISTRY_VERSION, False),
        ({"settings": {"proxy": {"remoteurl": "https://hub.example.com"}}},
         Code.PULL_THROUGH, True),
        ({"environment": {"REGISTRY_PROXY_REMOTEURL": "https://hub.example.com"}},
         Code.PULL_THROUGH, True),
        ({"settings": {"storage": {"maintenance": {"readonly": {"enabled": True}}}}},
         Code.READ_ONLY, True),
        ({"settings": {"http": {"debug": {"prometheus": {"enabled": True}}}}},
         Code.DEBUG_LISTENER, False),
    ],
)  # fmt: skip
def test_other_changes_are_listed_once(
    registry: dict[str, Any], code: Code, destructive: bool
) -> None:
    wanted = answers(registry={"domain": DOMAIN, **registry})
    result = found(wanted, deployed(answers()))
    assert result[code].is_destructive is destructive
    assert found(wanted, deployed(wanted)) == {}


def test_another_image_of_the_same_version_is_a_consequence() -> None:
    was, now = (
        answers(registry={"domain": DOMAIN, "runtime": "docker", "image": f"registry:{tag}"})
        for tag in ("3.1.0", "3.1.1")
    )
    assert found(now, deployed(was))[Code.REGISTRY_VERSION].text == (
        "The registry changes from registry:3.1.0 in Docker to registry:3.1.1 in Docker."
    )


def test_a_version_that_is_known_exactly_is_named_once() -> None:
    there = deployed(answers(registry={"domain": DOMAIN, "version": "3"}))
    now = answers(registry={"domain": DOMAIN})
    exact = Consequence(Code.REGISTRY_VERSION, "From 3.0.0 to 2.8.2.", servers=(there.server,))
    assert find_consequences(now, materials(), [there], [exact]) == (exact,)


def test_a_removed_or_renamed_server_is_a_consequence() -> None:
    second = {"host": "two", "user": "root", "port": 2222}
    two = answers(servers=[{"host": "one"}, second], storage=S3)
    alone = answers(storage=S3)
    left = found(alone, deployed(two))[Code.SERVER_LEFT_OUT]
    assert left.servers == ("two",)
    assert left.is_destructive
    assert left.note == (
        "It still writes to the bucket, so no images can be deleted before it is removed. "
        "moorage uninstall --server root@two:2222 removes it"
    )
    renamed = answers(servers=[{"host": "uno"}])
    facts = replace(deployed(answers()), server="uno")
    result = found(renamed, facts)
    assert result[Code.SERVER_RENAMED].text == "one is called uno from now on."
    assert Code.SERVER_LEFT_OUT not in result


def test_a_server_that_joins_again_does_not_bring_removed_users_back() -> None:
    two = answers(servers=[{"host": "one"}, {"host": "two"}], storage=S3)
    stayed = deployed(two, (CI,), users={"revision": 5, "declared": ["ci"]})
    joins = deployed(two, (BOB, CI), server="two", users={"revision": 4, "declared": ["bob", "ci"]})
    for every in ((stayed, joins), (joins, stayed)):
        removed = found(two, every)[Code.USERS_REMOVED]
        assert (removed.users, removed.servers) == (("bob",), ("two",))
        assert found(two, every, materials((BOB, CI)))[Code.USERS_ADDED].users == ("bob",)


def test_the_users_of_the_servers_that_stayed_win() -> None:
    """However often they were changed on a server that left: it joins two others again."""
    hosts = [{"host": name} for name in ("one", "two", "three")]
    all_three, two = (answers(servers=hosts[:count], storage=S3) for count in (3, 2))
    stayed = [
        deployed(two, (CI,), server=name, users={"revision": 5, "declared": ["ci"]}, revision=7)
        for name in ("one", "two")
    ]
    other_ci = replace(CI, hash="another")
    users = {"revision": 9, "declared": ["bob", "ci"]}
    joins = deployed(all_three, (BOB, other_ci), server="three", users=users, revision=11)
    for every in ((*stayed, joins), (joins, *stayed)):
        gathered = gather(all_three, every, lambda reference, where: Secret("x"))
        assert gathered.users == (CI,)
        result = found(all_three, every, gathered)
        assert result[Code.USERS_DISCARDED].users == ("bob", "ci")
        assert result[Code.USERS_DISCARDED].text == (
            "Users that were changed on three while it was not part of the deployment get what "
            "they have on one: bob, ci."
        )
        assert result[Code.USERS_REMOVED].users == ("bob",)
        assert result[Code.SERVER_JOINS].servers == ("three",)
        assert latest(every).number == 11
        assert why_record(all_three, joins, (), joins=True) == "three joined"
    # The same with a limit, where the others stay as they are.
    limited = found(all_three, joins, materials((CI,)), outside=tuple(stayed))
    assert limited.keys() == {Code.USERS_DISCARDED, Code.USERS_REMOVED, Code.SERVER_JOINS}
    # Without the others, its users count.
    assert Code.USERS_DISCARDED not in found(all_three, joins)


def test_answers_from_before_a_server_left_say_so() -> None:
    hosts = [{"host": "one"}, {"host": "two"}]
    change = replace(NO_CHANGE, revision=2, by="ana@desk", answers=("servers",))
    left = {"host": "two", "at": "2026-03-02T10:00:00Z", "by": "ana@desk"}
    there = deployed(answers(storage=S3), left=[left], **as_record(UNRECORDED, change))
    joins = found(answers(servers=hosts, storage=S3, based_on=1), there)[Code.SERVER_JOINS]
    assert joins.is_destructive
    assert joins.text == (
        "two, which left the deployment on 2026-03-02 10:00:00 UTC, by ana@desk, joins it again."
    )
    assert "These answers are from before the servers were changed (revision 2" in joins.note
    known = found(answers(servers=hosts, storage=S3, based_on=2), there)[Code.SERVER_JOINS]
    assert not known.is_destructive


def test_equal_consequences_on_several_servers_are_listed_once() -> None:
    servers = [{"host": "one"}, {"host": "two"}]
    was = answers(servers=servers, storage=S3)
    now = answers(servers=servers, storage=S3, registry={"domain": DOMAIN, "port": 8443})
    every = (deployed(was), deployed(was, server="two"))
    [told] = find_consequences(now, materials(), every)
    assert told.servers == ("one", "two")
    assert told.sentence(2) == told.text
    assert told.sentence(3).endswith("(one, two)")


def test_destructive_consequences_come_first() -> None:
    there = deployed(answers(), (BOB,), images={})
    wanted = answers(registry={"domain": DOMAIN, "port": 8443, "version": "3"})
    flags = [each.is_destructive for each in find_consequences(wanted, materials(), (there,))]
    assert flags == sorted(flags, reverse=True)
    assert len(flags) >= 4


def test_an_invalid_record_has_no_consequences() -> None:
    for record in ({"answers": 1}, {"revision": "x", "history": [1, {"revision": -1}], "by": 3}):
        there = deployed(answers(), **record)
        assert latest([there]) == UNRECORDED
        found(answers(), there)


@pytest.mark.parametrize(
    "settings", [{"http": None}, {"http": 5}, {"storage": None}, {"storage": 5}, {"proxy": [1]}]
)
def test_invalid_recorded_settings_have_no_consequences(settings: dict[str, object]) -> None:
    recorded = answers(registry={"domain": DOMAIN, "settings": settings})
    assert not found(answers(), deployed(recorded))


def test_a_record_cannot_add_a_line_to_the_plan() -> None:
    there = deployed(answers(), domain="x\nNothing changes.", server="y\n\u2028z")
    told = found(answers(), replace(there, server="one"))
    assert set(told) >= {Code.NAME_NOT_SERVED, Code.SERVER_RENAMED}
    for each in told.values():
        assert each.text.isprintable(), each


NAMES = st.sampled_from(["ana", "bob", "ci", "dora"])


@given(
    there=st.frozensets(NAMES), wanted=st.frozensets(NAMES, min_size=1),
    declared=st.frozensets(NAMES), added=st.frozensets(NAMES),
    base=st.one_of(st.none(), st.integers(0, 4)), accepted=st.frozensets(NAMES),
)  # fmt: skip
def test_every_removed_user_is_listed_and_accepted(
    there: frozenset[str],
    wanted: frozenset[str],
    declared: frozenset[str],
    added: frozenset[str],
    base: int | None,
    accepted: frozenset[str],
) -> None:
    def users(names: frozenset[str]) -> tuple[RegistryUser, ...]:
        return tuple(RegistryUser(name, name) for name in sorted(names))

    record = history({"added": tuple(sorted(there))}, {"added": tuple(sorted(added))})
    facts = deployed(
        answers(), users(there), users={"revision": 1, "declared": sorted(declared)}, **record
    )
    told = find_consequences(answers(based_on=base), materials(users(wanted)), (facts,))
    gone = there - wanted
    assert users_of(Code.USERS_REMOVED, told) == gone
    unknown = gone if base not in {0, 1, 2} else gone - (declared - (added if base == 1 else set()))
    if base == 0:
        unknown = gone
    refused = refusals(told, Accepted(removals=accepted))
    assert bool(refused) == bool(unknown - accepted)
