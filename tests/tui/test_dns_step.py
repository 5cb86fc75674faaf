"""DNS: what is said of records that are not there yet; the lab looks at real zones."""

from __future__ import annotations

from typing import Any

import pytest
from opening import opened
from pretend import Servers
from walk import ANSWERS, dns_plan

from moorage.dns.operations import DnsCheck
from screens.dns import check
from screens.dns.check import NameLook


@pytest.mark.parametrize(
    ("ssl", "said"),
    [
        ({"mode": "private_ca"}, "Enter goes on without them: Apply works, but clients"),
        ({"mode": "acme"}, "but Apply gets no"),
        ({"mode": "acme", "acme": {"challenge": "dns-01"}}, "Apply works, but clients"),
    ],
)
async def test_going_on_without_a_record_says_what_does_not_work_until_then(
    pretend: Servers, monkeypatch: pytest.MonkeyPatch, ssl: dict[str, Any], said: str
) -> None:
    def look(answers: Any, *_: object, **__: object) -> NameLook:
        plan = dns_plan()
        return NameLook(
            answers, DnsCheck(plan.name, "example.com", plan.desired, (), ()), plan.changes, ()
        )

    monkeypatch.setattr(check, "look", look)
    async with opened(pretend, prefill=ANSWERS | {"ssl": ssl}) as wizard:
        await wizard.press("alt+4")
        await wizard.see("Make these records", said)
