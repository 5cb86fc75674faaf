"""Answers that take too long as a whole, from whomever Moorage asks."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from listening import listening
from patience import slowness

from moorage.answers.model import S3Storage
from moorage.answers.secrets import Secret
from moorage.cloud import route53, s3
from moorage.dns import lexicon
from moorage.dns.lookup import DnsError
from moorage.network import within


@contextlib.contextmanager
def _dripping() -> Iterator[str]:
    """Run a server that sends a byte of its answer now and then, without end; yield its address."""

    def drip(connection: socket.socket, ended: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n<")
        while not ended.wait(0.05):
            connection.sendall(b" ")

    with listening(drip) as port:
        yield f"http://127.0.0.1:{port}"


def test_work_within_the_time_limit_is_unaffected() -> None:
    assert within(5, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 // 0)


def test_a_bucket_that_responds_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "DEADLINE", 0.5)
    monkeypatch.setattr(s3, "READ_TIMEOUT", 1)
    began = time.monotonic()
    with _dripping() as address:
        storage = S3Storage.model_validate(
            {"bucket": "images", "region": "eu-central-1", "regionendpoint": address,
             "secure": False}
        )  # fmt: skip
        (result,) = s3.try_bucket(storage, s3.Keys(Secret("a" * 20), Secret("b" * 40)))
    assert time.monotonic() - began < 10 * slowness()
    assert result.status == "bad"
    assert "answers too slowly: not within 0.5 s" in result.detail


def test_route_53_that_responds_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route53, "TIMEOUT", 0.5)
    began = time.monotonic()
    with _dripping() as address:
        keys = route53.Keys(access="a" * 20, secret="b" * 40)
        zone = route53.Route53Provider(keys=keys, endpoint=address)
        with pytest.raises(DnsError, match="not answer within") as caught:
            zone.read("registry.example.com")
    assert time.monotonic() - began < 10 * slowness()
    assert caught.value.code == "dns_failed"
    assert caught.value.advice


def test_a_lexicon_provider_that_responds_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lexicon, "TIMEOUT", 0.3)
    monkeypatch.setattr(lexicon.LexiconProvider, "_open", lambda *_: time.sleep(3))
    with pytest.raises(DnsError, match=r"lexicon x does not answer within 0.3 s"):
        lexicon.LexiconProvider("x", {}).read("registry.example.com")
