"""Who may do what, asked of the running registry: the whole matrix, and ways around it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from operator_at_work import DOMAIN, Operator, copy_back, log_in, push
from raw_http import Reply, Wire, basic

from lab import LabError, LabServer
from lab.machine import say

USERS = [
    {"name": "admin", "access": "push"},
    {"name": "reader", "access": "pull"},
    {"name": "ana", "access": "pull", "repositories": ["team-a/*", "base/debian"]},
    {"name": "bob", "access": "push", "repositories": ["team-b/*", "shared"]},
    {"name": "eve", "access": "push", "repositories": ["team-e/*"]},
    {"name": "gone", "access": "push", "disabled": True},
]
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
REPOSITORIES = ["team-a/app", "team-b/app", "shared", "base/debian", "secret/app", "team-ab/app"]
CORS = {
    "Access-Control-Allow-Origin": "https://browser.example.com",
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Accept",
}
"""Lets a page of another site use the registry, which makes nobody's access wider."""

pytestmark = pytest.mark.deployed(
    registry={"settings": {"http": {"headers": {name: [value] for name, value in CORS.items()}}}},
    credentials={"users": [{**user, "password": {"generate": True}} for user in USERS]},
)

PULLS = {
    *((user, repository) for user in ("admin", "reader") for repository in REPOSITORIES),
    *(("ana", repository) for repository in ("team-a/app", "base/debian")),
    *(("bob", repository) for repository in ("team-b/app", "shared")),
}
"""Who may pull what; whatever is not in here is denied."""
PUSHES = {pair for pair in PULLS if pair[0] in {"admin", "bob"}}
"""Who may push, delete and begin uploads."""


@dataclass
class Stage:
    """A registry with an image in each repository, and everybody's password.

    Attributes:
        blobs: A blob's digest and content, by repository.
        manifests: The digest of the image's manifest, by repository.
    """

    wire: Wire
    passwords: dict[str, str]
    blobs: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    manifests: dict[str, str] = field(default_factory=dict)

    def ask(self, user: str | None, method: str, target: str, **more: object) -> Reply:
        """Ask as a user."""
        login = None if user is None else (user, self.passwords.get(user, "wrong"))
        headers = ("Accept: */*", f"Accept: {MANIFEST}", *more.pop("headers", ()))  # type: ignore[misc]
        return self.wire.ask(method, target, login=login, headers=headers, **more)  # type: ignore[arg-type]

    def push(self, repository: str) -> None:
        """Put an image of its own into a repository."""
        blob = f"what only {repository} holds, {'x' * 2000}".encode()
        config = json.dumps({"about": repository}).encode()
        layers = []
        for content in (blob, config):
            digest = "sha256:" + hashlib.sha256(content).hexdigest()
            begun = self.ask("admin", "POST", f"/v2/{repository}/blobs/uploads/")
            assert begun.status == 202, begun
            target = begun.headers["location"].removeprefix(f"https://{DOMAIN}")
            octets = ("Content-Type: application/octet-stream",)
            put = self.ask(
                "admin", "PUT", f"{target}&digest={digest}", body=content, headers=octets
            )
            assert put.status == 201, put
            layers.append({"digest": digest, "size": len(content), "mediaType": "application/x"})
        manifest = json.dumps(
            {"schemaVersion": 2, "mediaType": MANIFEST, "config": layers[1], "layers": layers[:1]}
        ).encode()
        put = self.ask(
            "admin", "PUT", f"/v2/{repository}/manifests/latest",
            body=manifest, headers=(f"Content-Type: {MANIFEST}",),
        )  # fmt: skip
        assert put.status == 201, put
        self.blobs[repository] = (str(layers[0]["digest"]), blob)
        self.manifests[repository] = "sha256:" + hashlib.sha256(manifest).hexdigest()


@pytest.fixture
def stage(operator: Operator, server: LabServer) -> Stage:
    """A registry with users and images."""
    stage = Stage(Wire(server.address, DOMAIN), operator.passwords)
    for repository in REPOSITORIES:
        stage.push(repository)
    return stage


def _operations(stage: Stage, repository: str) -> Iterator[tuple[str, str, str, set[int]]]:
    """Yield kind, method, target and the statuses that say yes."""
    blob, manifest = stage.blobs[repository][0], stage.manifests[repository]
    base = f"/v2/{repository}"
    yield "pull", "GET", f"{base}/manifests/latest", {200}
    yield "pull", "HEAD", f"{base}/manifests/{manifest}", {200}
    yield "pull", "GET", f"{base}/manifests/latest?ns=docker.io", {200}
    yield "pull", "GET", f"{base}/blobs/{blob}", {200}
    yield "pull", "HEAD", f"{base}/blobs/{blob}", {200}
    yield "pull", "GET", f"{base}/tags/list", {200}
    yield "pull", "GET", f"{base}/tags/list?n=1", {200}
    yield "pull", "GET", f"{base}/referrers/{manifest}", {200, 404}
    yield "push", "POST", f"{base}/blobs/uploads/", {202}
    yield "push", "GET", f"{base}/blobs/uploads/no-such-upload", {404}
    yield "push", "PATCH", f"{base}/blobs/uploads/no-such-upload", {404}
    yield "push", "DELETE", f"{base}/blobs/uploads/no-such-upload", {404}
    yield "push", "PUT", f"{base}/manifests/broken", {400}
    yield "push", "DELETE", f"{base}/manifests/sha256:{'0' * 64}", {404}
    yield "push", "DELETE", f"{base}/blobs/sha256:{'0' * 64}", {404}


def test_the_matrix_of_users_repositories_and_operations(stage: Stage) -> None:
    wrong = []
    allowed = {"pull": PULLS, "push": PUSHES}
    users = ("admin", "reader", "ana", "bob", "eve", "gone", "nobody", None)
    matrix = [
        (user, repository, *operation)
        for user in users
        for repository in REPOSITORIES
        for operation in _operations(stage, repository)
    ]

    def try_out(row: tuple[str | None, str, str, str, str, set[int]]) -> None:
        user, repository, kind, method, target, yes = row
        reply = stage.ask(user, method, target)
        if user in {"gone", "nobody", None}:
            wanted, code = {401}, "UNAUTHORIZED"
        elif (user, repository) in allowed[kind]:
            wanted, code = yes, ""
        else:
            wanted, code = {403}, "DENIED"
        if reply.status not in wanted:
            wrong.append((user, method, target, reply, wanted))
        elif code and method != "HEAD" and json.loads(reply.body)["errors"][0]["code"] != code:
            wrong.append((user, method, target, reply, code))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(try_out, matrix))
    say(f"{len(matrix)} requests of the access matrix, {len(wrong)} answered otherwise")
    assert wrong == []


def test_a_page_of_another_site_gets_the_headers_for_it_but_needs_a_login(stage: Stage) -> None:
    origin = "Origin: https://browser.example.com"
    asked = (origin, "Access-Control-Request-Method: GET")
    with_headers = (*asked, "Access-Control-Request-Headers: authorization")
    of_each = {name.lower(): value for name, value in CORS.items()}
    there, missing = "/v2/secret/app/manifests/latest", "/v2/none/manifests/latest?n=1"
    preflights = [
        stage.ask(user, "OPTIONS", target, headers=headers)
        for user in (None, "eve", "nobody")
        for target in (there, missing, "/v2/_catalog", "/v2/secret/app/blobs/uploads/no-such")
        for headers in (asked, with_headers)
    ]
    # Whoever asks, and for whatever: the same answer.
    assert {(each.status, each.body) for each in preflights} == {(200, b"{}")}
    assert all(of_each.items() <= each.headers.items() for each in preflights)
    allowed = stage.ask("admin", "GET", there, headers=(origin,))
    assert allowed.status == 200
    assert of_each.items() <= allowed.headers.items()

    assert stage.ask(None, "GET", there, headers=asked).status == 401
    assert stage.ask("eve", "GET", there, headers=asked).status == 403
    assert stage.ask(None, "OPTIONS", there).status == 401
    assert stage.ask(None, "OPTIONS", there, headers=(origin,)).status == 401
    assert stage.ask(None, "GET", "/_moorage_preflight", headers=asked).status == 404


def test_the_start_page_and_the_catalog(stage: Stage) -> None:
    for user in ("admin", "reader", "ana", "bob", "eve"):
        assert stage.ask(user, "GET", "/v2/").status == 200
    for user in ("ana", "bob", "eve"):
        reply = stage.ask(user, "GET", "/v2/_catalog")
        assert reply.status == 403
        assert b"secret" not in reply.everything
    for user in ("admin", "reader"):
        listed = json.loads(stage.ask(user, "GET", "/v2/_catalog?n=100").body)["repositories"]
        assert set(REPOSITORIES) <= set(listed)


def test_a_blob_is_mounted_only_from_a_repository_the_user_can_pull(stage: Stage) -> None:
    digest = stage.blobs["shared"][0]
    for source in ("shared", "team-b%2Fapp", "team-b/app"):
        repository = source.replace("%2F", "/")
        blob = stage.blobs[repository][0]
        target = f"/v2/team-b/new/blobs/uploads/?mount={blob.replace(':', '%3A')}&from={source}"
        assert stage.ask("bob", "POST", target).status == 201, source
    target = f"/v2/team-e/new/blobs/uploads/?from=shared&mount={digest}"
    assert stage.ask("eve", "POST", target).status == 403
    assert stage.ask("eve", "GET", f"/v2/team-e/new/blobs/{digest}").status == 404


def _attacks(stage: Stage) -> Iterator[tuple[str, str, dict[str, object]]]:
    """Yield ways to get at secret/app as somebody who may only use team-e/*."""
    blob, manifest = stage.blobs["secret/app"][0], stage.manifests["secret/app"]
    for path in (f"blobs/{blob}", f"manifests/{manifest}", "manifests/latest", "tags/list"):
        for target in (
            f"/v2/secret/app/{path}",
            f"/v2//secret/app/{path}",
            f"//v2/secret/app/{path}",
            f"/v2/./secret/app/{path}",
            f"/v2/team-e/../secret/app/{path}",
            f"/v2/team-e/x/../../secret/app/{path}",
            f"/v2/team-e/%2e%2e/secret/app/{path}",
            f"/v2/team-e%2f..%2fsecret/app/{path}",
            f"/v2/team-e/..%2fsecret/app/{path}",
            f"/v2/%73ecret/app/{path}",
            f"/v2/secret%2Fapp/{path}",
            f"/%76%32/secret/app/{path}",
            f"/v2/secret/app/{path}?team-e/",
            f"/v2/secret/app/{path}#/v2/team-e/x/tags/list",
            f"/v2/secret/app/{path};/v2/team-e/",
            f"/v2/SECRET/app/{path}",
            f"/V2/secret/app/{path}",
            f"/v2/team-e/x/blobs/uploads/../../../../secret/app/{path}",
            f"/v2/team-e/..\\secret/app/{path}",
            f"/v2/secret/app/{path}/",
            f"/v2/secret/app/{path}%00",
            f"/v2/team-e/x?/../../secret/app/{path}",
            f"https://{DOMAIN}/v2/secret/app/{path}",
            f"http://team-e/v2/secret/app/{path}",
            f"/v2/team-e|secret/app/{path}",
            f"/v2/team-e/*/../../secret/app/{path}",
        ):
            for method in ("GET", "HEAD", "POST", "OPTIONS", "get", "PROPFIND", "TRACE"):
                yield method, target, {}
        for header in (
            "X-Original-URL: /v2/team-e/x/tags/list",
            "X-Rewrite-URL: /v2/team-e/x/tags/list",
            "X-HTTP-Method-Override: GET",
            "X-Forwarded-User: admin",
            "X-Moorage-Client: 127.0.0.1",
            "X-Forwarded-For: 127.0.0.1",
            "Remote-User: admin",
            "Connection: close, Authorization",
            "Transfer-Encoding: chunked",
        ):
            yield "GET", f"/v2/secret/app/{path}", {"headers": (header,)}
        yield "GET", f"/v2/secret/app/{path}", {"version": "1.0"}
    mount = f"mount={blob}"
    start = "/v2/team-e/loot/blobs/uploads/"
    for query in (
        f"{mount}&from=secret/app",
        f"{mount}&from=secret%2Fapp",
        f"{mount}&from=secret%2fapp",
        f"from=secret/app&{mount}",
        f"{mount}&from=team-e/x&from=secret/app",
        f"from=secret/app&{mount}&from=team-e/x",
        f"{mount}&%66rom=secret/app",
        f"{mount}&fr%6Fm=secret/app",
        f"{mount}&FROM=team-e/x&from=secret/app",
        f"{mount}&from=%73ecret/app",
        f"{mount}&from=secret/app%00",
        f"{mount}&from=team-e/../secret/app",
        f"{mount}&from=team-e%2F..%2Fsecret%2Fapp",
        f"{mount};from=secret/app",
        f"{mount}&;from=secret/app",
        f"{mount}&from=+secret/app",
        f"&&{mount}&from=secret/app",
        f"{mount}&from=secret/app&",
        f"x=1?{mount}&from=secret/app",
        f"{mount}&from=secret/app#from=team-e/x",
        f"{mount}&from[]=secret/app",
        f"{mount}&from=",
    ):
        yield "POST", f"{start}?{query}", {}
    yield "PUT", f"{start}?{mount}&from=secret/app", {}
    yield "PATCH", f"{start}?{mount}&from=secret/app", {}


def test_attacks_on_another_users_repository_fail(stage: Stage) -> None:
    blob, content = stage.blobs["secret/app"]
    wrong = []

    def attack(attempt: tuple[str, str, dict[str, object]]) -> None:
        method, target, more = attempt
        reply = stage.ask("eve", method, target, **dict(more))
        if not 400 <= reply.status < 500:
            wrong.append((*attempt, reply))
        for secret in (content, b"what only secret/app", b'"latest"', b"config"):
            if secret in reply.everything:
                wrong.append((*attempt, "told", secret[:30]))

    attacks = list(_attacks(stage))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(attack, attacks))
    say(f"{len(attacks)} attacks, {len(wrong)} answered otherwise")
    assert wrong == []
    assert stage.ask("eve", "GET", f"/v2/team-e/loot/blobs/{blob}").status == 404


def test_http_2_is_not_offered(stage: Stage, server: LabServer) -> None:
    login = f"eve:{stage.passwords['eve']}"
    asked = subprocess.run(
        ["curl", "-sk", "--http2", "-o", "/dev/null", "-w", "%{http_version} %{http_code}", "-K",
         "-", "--resolve", f"{DOMAIN}:443:{server.address}",
         f"https://{DOMAIN}/v2/secret/app/tags/list"],
        input=f'user = "{login}"\n', capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert asked.stdout == "1.1 403"
    preface = stage.wire.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert preface.status in {400, 505}


def test_a_form_in_the_body_mounts_nothing(stage: Stage) -> None:
    # The registry reads parameters out of a body that is said to be a form.
    blob = stage.blobs["secret/app"][0]
    form = f"mount={blob}&from=secret/app".encode()
    multipart = (
        b'--b\r\nContent-Disposition: form-data; name="mount"\r\n\r\n' + blob.encode()
        + b'\r\n--b\r\nContent-Disposition: form-data; name="from"\r\n\r\nsecret/app\r\n--b--\r\n'
    )  # fmt: skip
    for kind, body in (
        ("application/x-www-form-urlencoded", form),
        ("multipart/form-data; boundary=b", multipart),
    ):
        for query in ("", f"?mount={blob}", "?from=team-e/x"):
            reply = stage.ask(
                "eve", "POST", f"/v2/team-e/loot/blobs/uploads/{query}",
                body=body, headers=(f"Content-Type: {kind}",),
            )  # fmt: skip
            # A plain upload may begin; nothing is taken over.
            assert reply.status == 202, (kind, query, reply)
            assert stage.ask("eve", "GET", f"/v2/team-e/loot/blobs/{blob}").status == 404
    # To see that this test would notice: whoever may pull it can take it over.
    reply = stage.ask(
        "admin", "POST", f"/v2/team-e/loot/blobs/uploads/?mount={blob}&from=secret/app"
    )
    assert reply.status == 201


def test_a_user_name_in_a_header_is_ignored(stage: Stage) -> None:
    target = f"/v2/secret/app/blobs/{stage.blobs['secret/app'][0]}"
    right = stage.passwords["admin"]
    eve = stage.passwords["eve"]
    for headers in (
        (basic("admin", "wrong"),),
        (basic("admin", eve),),
        (basic("Admin", right),),
        (basic("admin ", right),),
        (basic("admin", right + " "),),
        (basic("admin", ""),),
        (basic("", right),),
        (basic("eve:admin", right),),
        (basic("eve\nadmin", right),),
        (basic("default", right),),
        ("Authorization: Basic !!!",),
        ("Authorization: Basic",),
        ("Authorization: Bearer " + right,),
        ("Authorization: " + "A" * 5000,),
        (basic("eve", eve), basic("admin", "wrong")),
        (basic("admin", "wrong"), basic("eve", eve)),
        (basic("eve", eve) + ", " + basic("admin", "x").partition(": ")[2],),
    ):
        reply = stage.wire.ask("GET", target, headers=headers)
        assert 400 <= reply.status < 500, (headers, reply)
        assert stage.blobs["secret/app"][1] not in reply.body
    # Logging in as eve in between does not make a cached login of admin's, nor the other way round.
    assert stage.ask("admin", "GET", target).status == 200
    assert stage.ask("eve", "GET", target).status == 403


def test_docker_reports_denied_pushes_and_completes_allowed_ones(
    stage: Stage, operator: Operator, client: LabServer, server: LabServer, registry_image: Path
) -> None:
    operator.trust(client, server)
    log_in(client, "admin", stage.passwords["admin"])
    push(client, registry_image, "secret/image:1")
    log_in(client, "bob", stage.passwords["bob"])

    began = time.monotonic()
    with pytest.raises(LabError, match="denied"):
        push(client, registry_image, "secret/image:2")
    # Docker does not try again.
    assert time.monotonic() - began < 20
    with pytest.raises(LabError, match="denied"):
        client.run(["docker", "pull", f"{DOMAIN}/secret/image:1"])
    # Docker first tries to take the layers over from secret/image, where it saw them before.
    push(client, registry_image, "team-b/image:1")
    copy_back(client, f"{DOMAIN}/team-b/image:1")
