"""The test of a bucket, against a real S3 server and ones that do not answer."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import boto3
import pytest
from fake_server import FakeServers
from moto.server import ThreadedMotoServer
from opening import opened
from textual import events

from moorage.answers.model import S3Storage
from moorage.answers.secrets import Secret
from moorage.cloud.s3 import Keys, least_policy, lifecycle_rule, try_bucket
from moorage.errors import MoorageError
from moorage.servers.transport import Cancel
from tui.widgets.field import Field

KEYS = Keys(Secret("an-access-key"), Secret("a-secret-key"))


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An S3 server with a bucket named images."""
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    _client(url).create_bucket(Bucket="images")
    yield url
    server.stop()


@pytest.fixture
def silent() -> Iterator[str]:
    """Something that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def _client(url: str):  # type: ignore[no-untyped-def]
    return boto3.client("s3", endpoint_url=url, region_name="us-east-1",
                        aws_access_key_id="x", aws_secret_access_key="y")  # fmt: skip


def bucket_at(url: str, name: str = "images", **more: object) -> S3Storage:
    return S3Storage.model_validate(
        {"bucket": name, "region": "us-east-1", "regionendpoint": url, **more}
    )


def test_the_bucket_test_covers_every_operation_of_a_registry(endpoint: str) -> None:
    told: list[str] = []
    results = try_bucket(bucket_at(endpoint, rootdirectory="/deep"), KEYS,
                         lambda tried: told.append(tried.name))  # fmt: skip
    assert [each.status for each in results] == ["good", "good", "good", "good", "note"]
    assert told == ["list", "write and read", "upload in parts", "delete", "aborted uploads"]
    client = _client(endpoint)
    assert client.list_objects_v2(Bucket="images").get("KeyCount") == 0
    assert not client.list_multipart_uploads(Bucket="images").get("Uploads")


def test_the_lifecycle_rule_that_is_shown_satisfies_the_test(endpoint: str) -> None:
    client = _client(endpoint)
    client.create_bucket(Bucket="ruled")
    storage = bucket_at(endpoint, "ruled")
    client.put_bucket_lifecycle_configuration(
        Bucket="ruled", LifecycleConfiguration=json.loads(lifecycle_rule(storage))
    )
    assert try_bucket(storage, KEYS)[-1].status == "good"


def test_a_missing_bucket_is_reported(endpoint: str) -> None:
    (result,) = try_bucket(bucket_at(endpoint, "nobodys"), KEYS)
    assert (result.status, result.name) == ("bad", "list")
    assert "There is no bucket nobodys" in result.detail


def test_an_unreachable_store_is_reported() -> None:
    (result,) = try_bucket(bucket_at("http://127.0.0.1:9"), KEYS)
    assert "cannot be reached" in result.detail


def test_a_cancelled_bucket_test_removes_its_objects(endpoint: str) -> None:
    cancel = Cancel()

    def stop_after_writing(tried: object) -> None:
        if getattr(tried, "name", "") == "write and read":
            cancel.set()

    with pytest.raises(MoorageError, match="stopped"):
        try_bucket(bucket_at(endpoint), KEYS, stop_after_writing, cancel)
    assert _client(endpoint).list_objects_v2(Bucket="images").get("KeyCount") == 0


def test_the_policy_names_the_bucket_and_the_folder(endpoint: str) -> None:
    policy = json.loads(least_policy(bucket_at(endpoint, rootdirectory="/a/b/")))
    assert [each["Resource"] for each in policy["Statement"]] == [
        "arn:aws:s3:::images", "arn:aws:s3:::images/a/b/*",
    ]  # fmt: skip


BLOCK = """\
REGISTRY_STORAGE=s3
REGISTRY_STORAGE_S3_BUCKET=images
REGISTRY_STORAGE_S3_REGION=us-east-1
REGISTRY_STORAGE_S3_REGIONENDPOINT={url}
REGISTRY_STORAGE_S3_ACCESSKEY=an-access-key
REGISTRY_STORAGE_S3_SECRETKEY=a-secret-key
"""


async def test_a_pasted_block_fills_the_form_and_can_be_tested(
    servers: FakeServers, endpoint: str
) -> None:
    async with opened(servers) as wizard:
        await wizard.press("enter", "alt+3", "down", "tab")
        focused = wizard.app.focused
        assert focused is not None
        focused.post_message(events.Paste(BLOCK.format(url=endpoint)))
        await wizard.see("images", "us-east-1", endpoint)
        secret = wizard.app.screen.query_one("#secretkey", Field)
        assert secret.value == "a-secret-key"
        await wizard.press("ctrl+t")
        await wizard.see("✓ upload in parts: 5 MiB in 2 parts", "✓ the bucket can store images")
        assert "a-secret-key" not in wizard.text


async def test_a_block_pasted_into_another_step_fills_storage(servers: FakeServers) -> None:
    block = BLOCK.format(url="https://s3.example.com") + "REGISTRY_STORAGE_S3_X=1\n"
    async with opened(servers) as wizard:
        await wizard.press("enter", "alt+3", "down", "enter")
        await wizard.see("✗ expected the name of the bucket")
        await wizard.press("alt+1")
        assert wizard.app.focused is not None
        wizard.app.focused.post_message(events.Paste(block))
        await wizard.see("Storage  3 of 7", "✓ filled in: Bucket", "✗ Line 7: ", "us-east-1")
        assert "✗ expected" not in wizard.text
        await wizard.press("alt+2", "a")
        assert wizard.app.focused is not None
        wizard.app.focused.post_message(events.Paste(block))
        await wizard.see("Add a user", "These lines belong in Storage")


async def test_the_form_responds_while_a_store_does_not(servers: FakeServers, silent: str) -> None:
    async with opened(servers) as wizard:
        await wizard.press("enter", "alt+3", "down", "tab")
        assert wizard.app.focused is not None
        wizard.app.focused.post_message(events.Paste(BLOCK.format(url=silent)))
        await wizard.see(silent)
        await wizard.press("ctrl+t")
        await wizard.see("Testing the bucket")
        await wizard.press("escape")
        await wizard.see("Who can log in?")
        await wizard.press("ctrl+n")
        await wizard.see("Where should images be stored?")
        assert threading.active_count() < 40


async def test_a_secret_is_hidden_until_shown(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        await wizard.press("enter", "alt+3", "down")
        wizard.app.screen.query_one("#secretkey", Field).focus()
        await wizard.type("abc")
        await wizard.see("•••")
        await wizard.press("f2")
        await wizard.see("abc")
        await wizard.press("f2")
        await wizard.see("•••")
        assert "abc" not in wizard.text
