"""Settings of the registry that are right by themselves, but not together."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from moorage.errors import Problem
from moorage.registry_keys import go_values
from moorage.registry_keys.environment import Ambiguous, find
from moorage.registry_keys.tree import Path, Version
from moorage.registry_keys.words import DOES_NOT_START, list_words

REDIRECTING = ("redirect", "cloudfront", "rewrite")
"""Storage middleware that redirects clients to another address."""
_SINCE_3 = {"rewrite"}
_OPTIONS = {"redirect": ("baseurl",), "cloudfront": ("baseurl", "privatekey", "keypairid")}

Fault = tuple[Path, str, str]
"""A path in the configuration, a code and a message."""


def find_contradictions(
    from_environment: Mapping[str, Any],
    settings: Mapping[str, Any],
    environment: Mapping[str, object],
    versions: Collection[Version],
) -> list[Problem]:
    """Return the problems between settings.

    Args:
        from_environment: The settings that plain variables set.
        settings: registry.settings, which take precedence.
        environment: registry.environment.
        versions: The versions in use.
    """
    whole = merged(from_environment, settings)
    by_reference = {path[:2] for path in _secret_paths(environment)}
    found: dict[tuple[Path, str], Problem] = {}
    for version in versions:
        for path, code, message in _faults(whole, version, by_reference):
            where = _place(path, settings, environment)
            found.setdefault((where, message), Problem(where, message, code=code))
    return list(found.values())


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with another one over it; only sections are merged."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            result[key] = merged(below, value)
        else:
            result[key] = value
    return result


def redirects(settings: Mapping[str, Any]) -> bool:
    """Return whether settings have storage middleware that redirects clients."""
    return any(
        item.get("name") in REDIRECTING for item in _items(settings, "middleware", "storage")
    )


def _secret_paths(environment: Mapping[str, object]) -> Iterator[Path]:
    for name, value in environment.items():
        if not isinstance(value, (str, int, bool)):
            try:
                yield find(name)[0]
            except (KeyError, Ambiguous):
                continue


def _place(path: Path, settings: Mapping[str, Any], environment: Mapping[str, object]) -> Path:
    """Return where in the answers a setting is: in the settings, or the variable that sets it."""
    if isinstance(_at(settings, *path[:1]), Mapping) or not environment:
        return ("registry", "settings", *path)
    nearest = [
        name
        for name in environment
        if name.startswith("REGISTRY_" + "_".join(str(part).upper() for part in path[:2]))
    ]
    return ("registry", "environment", *nearest[:1])


def _faults(
    whole: Mapping[str, Any], version: Version, by_reference: AbstractSet[Path]
) -> Iterator[Fault]:
    yield from _cache_faults(whole, version, by_reference)
    yield from _middleware_faults(whole, version)
    yield from _health_faults(whole)
    for name in ("poolsize", "maxactiveconns"):
        if version != "2.8" and _at(whole, "redis", "addrs") and _below(whole, 0, "redis", name):
            yield ("redis", name), DOES_NOT_START, "must not be negative"


def _cache_faults(
    whole: Mapping[str, Any], version: Version, by_reference: AbstractSet[Path]
) -> Iterator[Fault]:
    path: Path = ("storage", "cache", "blobdescriptor")
    if _at(whole, "storage", "cache", "layerinfo") is not None:
        message = "has no effect: its new name is blobdescriptor, which Moorage sets"
        yield ("storage", "cache", "layerinfo"), "no_effect", message
    if _at(whole, *path) != "redis":
        return
    address = "addr" if version == "2.8" else "addrs"
    is_secret = not by_reference.isdisjoint({("redis",), ("redis", address)})
    if not is_secret and not _at(whole, "redis", address):
        yield path, DOES_NOT_START, f"needs a Redis server: set redis.{address}"


def _middleware_faults(whole: Mapping[str, Any], version: Version) -> Iterator[Fault]:
    for kind in ("registry", "repository"):
        for place, item in enumerate(_items(whole, "middleware", kind)):
            message = "the registry has no middleware of this kind: take it out"
            code = DOES_NOT_START if kind == "registry" else "no_effect"
            yield ("middleware", kind, place), code, f"{message} ({item.get('name')})"
    known = [name for name in REDIRECTING if version != "2.8" or name not in _SINCE_3]
    items = _items(whole, "middleware", "storage")
    for place, item in enumerate(items):
        path: Path = ("middleware", "storage", place)
        name = item.get("name")
        if name not in known:
            message = f"must be {list_words(known, 'or')} for registry {version}"
            yield (*path, "name"), DOES_NOT_START, message
            continue
        if item.get("disabled"):
            message = "has no effect: the registry loads it anyway. Take the entry out instead"
            yield (*path, "disabled"), "no_effect", message
        options = item.get("options") or {}
        for fault, message in _option_faults(str(name), options):
            yield (*path, "options", *fault), DOES_NOT_START, message
    if items and _at(whole, "storage", "redirect", "disable") is True:
        message = "must be false: otherwise the storage middleware has no effect"
        yield ("storage", "redirect", "disable"), "no_effect", message


def _option_faults(name: str, options: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    for option in _OPTIONS.get(name, ()):
        if option not in options:
            yield (), f"needs {option}"
        elif not isinstance(options[option], str):
            yield (option,), "must be text; put it in quotes"
    if name == "rewrite":
        for option in ("scheme", "host", "trimpathprefix"):
            if option in options and not isinstance(options[option], str):
                yield (option,), "must be text; put it in quotes"
    base = options.get("baseurl")
    if not isinstance(base, str) or name not in _OPTIONS:
        return
    url = go_values.parse_url(base if name == "redirect" or "://" in base else f"https://{base}")
    if url is None or (name == "redirect" and not (url.scheme and url.host)):
        yield ("baseurl",), "must be a URL such as https://cdn.example.com"
    yield from _cloudfront_faults(options) if name == "cloudfront" else ()


def _cloudfront_faults(options: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    for option in ("duration", "updatefrequency", "updatefrenquency"):
        value = options.get(option)
        if isinstance(value, str) and go_values.nanoseconds(value) is None:
            yield (option,), "must be a duration such as 20m"
    if "iprangesurl" in options and not isinstance(options["iprangesurl"], str):
        yield ("iprangesurl",), "must be text; put it in quotes"
    filtered = options.get("ipfilteredby", "none")
    by = filtered.strip().lower() if isinstance(filtered, str) else None
    if by not in {"", "none", "aws", "awsregion"}:
        yield ("ipfilteredby",), "must be none, aws or awsregion"
    elif by == "awsregion" and not isinstance(options.get("awsregion"), str):
        yield (), "needs awsregion, a list of regions separated by commas"


def _health_faults(whole: Mapping[str, Any]) -> Iterator[Fault]:
    names: set[object] = set()
    for kind, name in (("file", "file"), ("http", "uri"), ("tcp", "addr")):
        for place, item in enumerate(_items(whole, "health", kind)):
            path: Path = ("health", kind, place)
            checked = str(item.get(name) or "")
            if checked in names:
                yield (*path, name), DOES_NOT_START, "is checked twice: take one of them out"
            names.add(checked)
            if _is_negative(item.get("interval")):
                yield (*path, "interval"), DOES_NOT_START, "must be positive"
    driver = _at(whole, "health", "storagedriver")
    is_enabled = isinstance(driver, Mapping) and driver.get("enabled", True)
    if is_enabled and _is_negative(_at(driver, "interval")):
        yield ("health", "storagedriver", "interval"), DOES_NOT_START, "must be positive"


def _is_negative(duration: object) -> bool:
    value = go_values.nanoseconds(duration) if isinstance(duration, str) else duration
    return isinstance(value, int) and value < 0


def _at(value: object, *path: str | int) -> object:
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _below(whole: Mapping[str, Any], least: int, *path: str) -> bool:
    value = _at(whole, *path)
    return isinstance(value, int) and value < least


def _items(whole: Mapping[str, Any], *path: str) -> list[Mapping[str, Any]]:
    value = _at(whole, *path)
    items = value if isinstance(value, Sequence) and not isinstance(value, str) else []
    return [item if isinstance(item, Mapping) else {} for item in items]
