"""The providers of dns-lexicon. Lexicon is imported when one of them is used, not before."""

from __future__ import annotations

import difflib
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from moorage.dns.lookup import DnsError, answered_within, find_servers
from moorage.dns.records import KINDS, RecordChange, RecordSet, clean_name

TIMEOUT = 60.0
"""Seconds the provider's API has for one reading or writing; Lexicon itself knows no limit."""
_MASK = "********"

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class LexiconProvider:
    """A zone that one of dns-lexicon's providers holds.

    Attributes:
        name: The provider as Lexicon calls it.
        options: Its options; logins, tokens and keys among them.
        zone_name: The zone, or None to find it by asking.
        nameservers: Name servers to ask for the zone instead of finding them.
        ttl: Seconds for new records.
    """

    name: str
    options: Mapping[str, str | int | bool] = field(repr=False)
    zone_name: str | None = None
    nameservers: tuple[str, ...] = ()
    ttl: int = 300

    @property
    def title(self) -> str:
        """What it is, for people."""
        return f"lexicon {self.name}" + (f", zone {self.zone_name}" if self.zone_name else "")

    @property
    def can_write(self) -> bool:
        """It can change records."""
        return True

    def read(self, name: str) -> tuple[RecordSet, ...]:
        """Return the records of a name; see :class:`moorage.dns.records.Provider`."""

        def work() -> tuple[RecordSet, ...]:
            with self._open(name, self.ttl) as api:
                return _read(api, name)

        return answered_within(TIMEOUT, self.title, work)

    def write(self, changes: Sequence[RecordChange]) -> None:
        """Make changes, new values before old ones go; see ``moorage.dns.records.Provider``.

        These APIs know no transactions: when one change fails, those before it are taken back.
        """
        made: list[RecordChange] = []
        for change in changes:
            try:
                self._make_in_time(change)
            except DnsError:
                for each in reversed(made):
                    with suppress(DnsError):
                        self._make_in_time(each.reverse)
                raise
            made.append(change)

    def _make_in_time(self, change: RecordChange) -> None:
        either = change.after or change.before
        assert either is not None
        ttl = (change.after.ttl if change.after else None) or self.ttl
        answered_within(TIMEOUT, self.title, partial(self._make, change, either.name, ttl))

    def _make(self, change: RecordChange, name: str, ttl: int) -> None:
        with self._open(name, ttl) as api:
            kind = (change.after or change.before or RecordSet("", "A", ())).kind
            now = {each.kind: each for each in _read(api, name)}.get(kind)
            if not (now.says(change.before) if now else change.before is None):
                raise DnsError(
                    f"somebody else has changed {name} at {self.name} meanwhile; nothing was "
                    "changed.",
                    hint="Look at what is there now with 'moorage dns plan FILE'.",
                    code="dns_changed_meanwhile",
                )
            old = now.values if now else ()
            new = change.after.values if change.after else ()
            is_new_ttl = now is not None and change.after is not None and now.ttl != ttl
            gone = old if is_new_ttl else tuple(value for value in old if value not in new)
            come = new if is_new_ttl else tuple(value for value in new if value not in old)
            if is_new_ttl or kind == "CNAME":
                # A CNAME has room for one, and some APIs keep a set's TTL until it is empty.
                _delete(api, kind, name, gone)
                gone = ()
            for value in come:
                _insist(api.create_record(kind, name, value), f"{name} {kind} {value}")
            _delete(api, kind, name, gone)
            after = {each.kind: each for each in _read(api, name)}.get(kind)
        if (after.values if after else ()) != new:
            raise DnsError(
                f"{self.name} took the change of {name}, but does not say {kind} "
                f"{', '.join(new) or '(nothing)'} now.",
                hint="Look at the zone at the provider.",
                code="dns_failed",
            )

    @contextmanager
    def _open(self, name: str, ttl: int) -> Iterator[Any]:
        api_class = provider_class(self.name)
        from lexicon.config import ConfigResolver
        from lexicon.exceptions import AuthenticationError
        from requests import RequestException

        zone = self.zone_name or find_servers(name, self.nameservers)[0]
        settings: dict[str, Any] = {
            "provider_name": self.name,
            # Known here; Lexicon itself would fetch a list of all public suffixes to guess it.
            "domain": clean_name(zone),
            "ttl": ttl,
            self.name: {key.replace("-", "_"): value for key, value in self.options.items()},
        }
        try:
            resolver: Any = ConfigResolver()  # type: ignore[no-untyped-call]  # Lexicon has no types here
            api = api_class(resolver.with_dict(settings))
            api.authenticate()
            try:
                yield api
            finally:
                api.cleanup()
        except DnsError:
            raise
        except AuthenticationError as error:
            raise DnsError(
                f"{self.name} refuses: {self._told(error)}.",
                hint=f"Either the login in dns.lexicon.options is wrong, or the zone {zone} is not "
                "in that account.",
                code="dns_key_wrong",
            ) from None
        except RequestException as error:
            raise self._request_failed(error, zone) from None
        except Exception as error:  # providers raise what they like
            raise DnsError(
                f"{self.name} failed: {self._told(error)}.",
                hint="Compare dns.lexicon.options with the provider's in dns-lexicon's manual.",
                code="dns_failed",
            ) from None

    def _request_failed(self, error: Any, zone: str) -> DnsError:
        # The message itself holds the URL, and some APIs take their token there.
        status = getattr(error.response, "status_code", None)
        if status in {401, 403}:
            return DnsError(
                f"{self.name} refuses the login (HTTP {status}).",
                hint="Compare dns.lexicon.options with the token at the provider, and its rights.",
                code="dns_key_wrong",
            )
        if status == 404:
            return DnsError(
                f"{self.name} has no zone {zone} for this login (HTTP {status}).",
                hint="Is dns.zone right?",
                code="no_zone",
            )
        what = f"answers HTTP {status}" if status else "cannot be reached"
        return DnsError(f"{self.name} {what}.", hint="Try again later.", code="dns_failed")

    def _told(self, error: Exception) -> str:
        text = str(error) or type(error).__name__
        for name, value in self.options.items():
            if isinstance(value, str) and len(value) > 3 and "server" not in name:
                text = text.replace(value, _MASK)
        return text.rstrip(".")


def provider_class(name: str) -> Any:
    """Return Lexicon's class for a provider.

    Raises:
        DnsError: Lexicon has none of that name, or it needs a package that is not there.
    """
    from lexicon._private.discovery import find_providers, load_provider_module

    available = find_providers()
    if not available.get(name):
        near = difflib.get_close_matches(name, available, n=3)
        raise DnsError(
            f"dns-lexicon's provider {name} needs more packages."
            if name in available
            else f"dns-lexicon has no provider {name}.",
            hint=f"Install them with: pip install 'dns-lexicon[{name}]'."
            if name in available
            else f"Is it {' or '.join(near)}?"
            if near
            else "dns-lexicon's manual lists them.",
            code="no_provider",
        )
    return load_provider_module(name).Provider


def known_options(name: str) -> tuple[str, ...]:
    """Return the options a provider takes, as they are written in the answers.

    Raises:
        DnsError: Lexicon has none of that name.
    """
    parser = ArgumentParser(add_help=False)
    provider_class(name).configure_parser(parser)
    return tuple(sorted(action.dest for action in parser._actions))


def _read(api: Any, name: str) -> tuple[RecordSet, ...]:
    found = []
    for kind in KINDS:
        rows = [
            row
            for row in api.list_records(kind, name) or []
            if row.get("type", kind) == kind and clean_name(str(row.get("name", name))) == name
        ]
        if rows:
            ttl = next((int(row["ttl"]) for row in rows if str(row.get("ttl", "")).isdigit()), None)
            found.append(RecordSet.of(name, kind, [str(row["content"]) for row in rows], ttl))
    return tuple(found)


def _delete(api: Any, kind: str, name: str, values: Sequence[str]) -> None:
    for value in values:
        _insist(api.delete_record(None, kind, name, value), f"{name} {kind} {value}")


def _insist(done: object, what: str) -> None:
    if done is False:
        raise DnsError(f"the provider does not take the change of {what}.", code="dns_failed")
