"""DNS: what is said of records that are not there yet; the lab looks at real zones."""

from __future__ import annotations

from typing import Any

import pytest
from fake_server import FakeServers
from opening import opened
from walk import ANSWERS, dns_plan

from moorage.dns.operations import DnsCheck
from screens.dns import check
from screens.dns.check import NameCheck


@pytest.mark.parametrize(
    ("ssl", "said"),
    [
        ({"mode": "private_ca"}, "Enter continues without them. An apply works"),
        ({"mode": "acme"}, "but an apply gets no"),
        ({"mode": "acme", "acme": {"challenge": "dns-01"}}, "An apply works"),
    ],
)
async def test_continuing_without_a_record_says_what_will_not_work(
    servers: FakeServers, monkeypatch: pytest.MonkeyPatch, ssl: dict[str, Any], said: str
) -> None:
    def check_records(answers: Any, *_: object, **__: object) -> NameCheck:
        plan = dns_plan()
        return NameCheck(
            answers, DnsCheck(plan.name, "example.com", plan.desired, (), ()), plan.changes, ()
        )

    monkeypatch.setattr(check, "check_records", check_records)
    async with opened(servers, prefill=ANSWERS | {"ssl": ssl}) as wizard:
        await wizard.press("alt+4")
        await wizard.see("Create these records", said)
