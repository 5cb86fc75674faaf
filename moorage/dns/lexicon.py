"""The providers of dns-lexicon, which is imported only when one of them is used."""

from __future__ import annotations

import difflib
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from moorage.dns.lookup import DnsError, call_provider, find_name_servers
from moorage.dns.records import KINDS, RecordChange, RecordSet, clean_name

TIMEOUT = 60.0
"""Seconds for one read or write by the provider's API; Lexicon itself has no limit."""
_MASK = "********"

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class LexiconProvider:
    """A zone hosted by one of dns-lexicon's providers.

    Attributes:
        name: Lexicon's name for the provider.
        options: Its options, including credentials.
        zone_name: The zone, or None to look it up.
        nameservers: Name servers to query for the zone instead of looking them up.
        ttl: TTL of new records in seconds.
    """

    name: str
    options: Mapping[str, str | int | bool] = field(repr=False)
    zone_name: str | None = None
    nameservers: tuple[str, ...] = ()
    ttl: int = 300

    @property
    def title(self) -> str:
        """The provider's name as shown to users."""
        return f"lexicon {self.name}" + (f", zone {self.zone_name}" if self.zone_name else "")

    @property
    def can_write(self) -> bool:
        """Always true."""
        return True

    def read(self, name: str) -> tuple[RecordSet, ...]:
        """Return the records of a name; see :class:`moorage.dns.records.Provider`."""

        def work() -> tuple[RecordSet, ...]:
            with self._open(name, self.ttl) as api:
                return _read(api, name)

        return call_provider(TIMEOUT, self.title, work)

    def write(self, changes: Sequence[RecordChange]) -> None:
        """Make changes, new values before old; see :class:`moorage.dns.records.Provider`.

        These APIs have no transactions: if a change fails, the earlier ones are reverted.
        """
        applied: list[RecordChange] = []
        for change in changes:
            try:
                self._apply(change)
            except DnsError:
                for each in reversed(applied):
                    with suppress(DnsError):
                        self._apply(each.reverse)
                raise
            applied.append(change)

    def _apply(self, change: RecordChange) -> None:
        either = change.after or change.before
        assert either is not None
        ttl = (change.after.ttl if change.after else None) or self.ttl
        call_provider(TIMEOUT, self.title, partial(self._send, change, either.name, ttl))

    def _send(self, change: RecordChange, name: str, ttl: int) -> None:
        with self._open(name, ttl) as api:
            kind = (change.after or change.before or RecordSet("", "A", ())).kind
            now = {each.kind: each for each in _read(api, name)}.get(kind)
            if not (now.matches(change.before) if now else change.before is None):
                raise DnsError(
                    f"{name} was changed at {self.name} in the meantime; nothing was changed.",
                    advice="Run 'moorage dns plan FILE' to see the current records.",
                    code="dns_changed_meanwhile",
                )
            old = now.values if now else ()
            new = change.after.values if change.after else ()
            is_new_ttl = now is not None and change.after is not None and now.ttl != ttl
            removed = old if is_new_ttl else tuple(value for value in old if value not in new)
            added = new if is_new_ttl else tuple(value for value in new if value not in old)
            if is_new_ttl or kind == "CNAME":
                # A CNAME has one value, and some APIs keep a set's TTL until the set is empty.
                _delete(api, kind, name, removed)
                removed = ()
            for value in added:
                _require_success(api.create_record(kind, name, value), f"{name} {kind} {value}")
            _delete(api, kind, name, removed)
            after = {each.kind: each for each in _read(api, name)}.get(kind)
        if (after.values if after else ()) != new:
            raise DnsError(
                f"{self.name} accepted the change to {name}, but its {kind} records are not "
                f"{', '.join(new) or '(none)'} now.",
                advice="Check the zone at the provider.",
                code="dns_failed",
            )

    @contextmanager
    def _open(self, name: str, ttl: int) -> Iterator[Any]:
        api_class = provider_class(self.name)
        from lexicon.config import ConfigResolver
        from lexicon.exceptions import AuthenticationError
        from requests import RequestException

        zone = self.zone_name or find_name_servers(name, self.nameservers)[0]
        settings: dict[str, Any] = {
            "provider_name": self.name,
            # Given, because Lexicon would download the public suffix list to guess it.
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
                f"{self.name} refused the login: {self._redacted(error)}.",
                advice=f"The credentials are wrong, or the zone {zone} is not in that account.",
                fields=("dns.lexicon.options",),
                code="dns_key_wrong",
            ) from None
        except RequestException as error:
            raise self._request_failed(error, zone) from None
        except Exception as error:  # providers raise all kinds of exceptions
            raise DnsError(
                f"{self.name} failed: {self._redacted(error)}.",
                advice="Compare the options with the provider's in the dns-lexicon manual.",
                fields=("dns.lexicon.options",),
                code="dns_failed",
            ) from None

    def _request_failed(self, error: Any, zone: str) -> DnsError:
        # The exception's message contains the URL, where some APIs carry the token.
        status = getattr(error.response, "status_code", None)
        if status in {401, 403}:
            return DnsError(
                f"{self.name} refused the login (HTTP {status}).",
                advice="Check the token and its permissions at the provider.",
                fields=("dns.lexicon.options",),
                code="dns_key_wrong",
            )
        if status == 404:
            return DnsError(
                f"{self.name} has no zone {zone} for this login (HTTP {status}).",
                advice="Check the zone.",
                fields=("dns.zone",),
                code="no_zone",
            )
        problem = f"answered HTTP {status}" if status else "cannot be reached"
        return DnsError(f"{self.name} {problem}.", advice="Try again later.", code="dns_failed")

    def _redacted(self, error: Exception) -> str:
        text = str(error) or type(error).__name__
        for name, value in self.options.items():
            if isinstance(value, str) and len(value) > 3 and "server" not in name:
                text = text.replace(value, _MASK)
        return text.rstrip(".")


def provider_class(name: str) -> Any:
    """Return Lexicon's class for a provider.

    Raises:
        DnsError: Lexicon has no such provider, or the provider needs a package that is missing.
    """
    from lexicon._private.discovery import find_providers, load_provider_module

    available = find_providers()
    if not available.get(name):
        near = difflib.get_close_matches(name, available, n=3)
        raise DnsError(
            f"dns-lexicon's provider {name} needs additional packages."
            if name in available
            else f"dns-lexicon has no provider {name}.",
            advice=f"Install them with: pip install 'dns-lexicon[{name}]'."
            if name in available
            else f"Did you mean {' or '.join(near)}?"
            if near
            else "The dns-lexicon manual lists them.",
            code="no_provider",
        )
    return load_provider_module(name).Provider


def known_options(name: str) -> tuple[str, ...]:
    """Return the options a provider accepts, spelled as in the answers.

    Raises:
        DnsError: Lexicon has no such provider.
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
        _require_success(api.delete_record(None, kind, name, value), f"{name} {kind} {value}")


def _require_success(result: object, record: str) -> None:
    if result is False:
        raise DnsError(f"the provider rejected the change of {record}.", code="dns_failed")
