"""The failover service that systemd runs on a machine that has only Python.

Its folder has ``task.json`` (the servers and rules) and ``secrets.json`` (the DNS provider's
credentials, readable only by the service's account). It logs to the journal and keeps its status in
``status.json`` in the runtime folder.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from moorage.dns.records import Provider
from moorage.errors import MoorageError
from moorage.failover.health import Registry
from moorage.failover.verdict import Rules
from moorage.failover.watch import News, Task, Watch, Watched


def task_as_json(task: Task) -> dict[str, Any]:
    """Return a task as JSON values.

    Args:
        task: The task.
    """
    registry, rules = task.registry, task.rules
    return {
        "name": task.name,
        "servers": [{"server": each.server, "host": each.host} for each in task.servers],
        "registry": {
            "domain": registry.domain,
            "port": registry.port,
            "tls": registry.tls,
            "authority": registry.authority,
        },
        "rules": {"interval": rules.interval, "fall": rules.fall, "rise": rules.rise},
        "ttl": task.ttl,
        "known": list(task.known),
    }


def task_from_json(value: dict[str, Any]) -> Task:
    """Return the task of :func:`task_as_json`.

    Args:
        value: JSON values.
    """
    return Task(
        value["name"],
        tuple(Watched(**each) for each in value["servers"]),
        Registry(**value["registry"]),
        Rules(**value["rules"]),
        value["ttl"],
        tuple(value["known"]),
    )


def provider_as_json(provider: Provider) -> dict[str, Any]:
    """Return a provider as JSON values, including its secrets.

    Args:
        provider: The provider.

    Raises:
        MoorageError: The service does not support this provider.
    """
    from moorage.dns.lexicon import LexiconProvider
    from moorage.dns.rfc2136 import Rfc2136Provider

    if isinstance(provider, Rfc2136Provider):
        key = provider.key
        return {
            "rfc2136": {
                "host": provider.host,
                "port": provider.port,
                "zone_name": provider.zone_name,
            },
            "key": [key.name, key.algorithm, key.secret] if key else None,
        }
    if isinstance(provider, LexiconProvider):
        return {
            "lexicon": {
                "name": provider.name,
                "options": dict(provider.options),
                "zone_name": provider.zone_name,
                "nameservers": list(provider.nameservers),
                "ttl": provider.ttl,
            }
        }
    raise MoorageError(f"{provider.title} needs no service.", code="no_watch")


def provider_from_json(value: dict[str, Any]) -> Provider:
    """Return the provider of :func:`provider_as_json`.

    Args:
        value: JSON values.
    """
    if "rfc2136" in value:
        from moorage.dns.rfc2136 import Key, Rfc2136Provider

        key = Key(*value["key"]) if value["key"] else None
        return Rfc2136Provider(key=key, **value["rfc2136"])
    from moorage.dns.lexicon import LexiconProvider

    settings = dict(value["lexicon"])
    settings["nameservers"] = tuple(settings["nameservers"])
    return LexiconProvider(**settings)


def main(folder: str) -> int:
    """Run until SIGTERM or SIGINT.

    Args:
        folder: The folder with ``task.json`` and ``secrets.json``.
    """
    try:
        task = task_from_json(_read(folder, "task.json"))
        provider = provider_from_json(_read(folder, "secrets.json"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = error.strerror if isinstance(error, OSError) else "invalid content"
        print(f"{folder} cannot be read: {why}", file=sys.stderr)
        return 1
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    status = Path(os.environ.get("RUNTIME_DIRECTORY", "/run")) / "status.json"
    state = Path(os.environ.get("STATE_DIRECTORY", "/var/lib"))
    memory, taken_out = state / "known.json", state / "taken_out.json"
    task = replace(task, known=(*task.known, *_remembered(memory)))
    watch = Watch(task, provider, _say, taken_out=_remembered(taken_out))

    def after_round() -> None:
        _write(status, watch.as_json())
        if watch.known != _remembered(memory):
            _write(memory, list(watch.known))
        if {*watch.taken_out} != {*_remembered(taken_out)}:
            _write(taken_out, sorted(watch.taken_out))

    print(f"monitoring {len(task.servers)} servers of {task.name}, {provider.title}", flush=True)
    watch.run(stop, after_round)
    return 0


def _say(news: News) -> None:
    print(f"{news.kind}: {news.text}", flush=True)


def _read(folder: str, name: str) -> dict[str, Any]:
    content = json.loads((Path(folder) / name).read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(name)
    return content


def _remembered(path: Path) -> tuple[str, ...]:
    """Return what an earlier process has noted: addresses, or labels of servers."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    return tuple(str(each) for each in content) if isinstance(content, list) else ()


def _write(path: Path, content: object) -> None:
    temporary = path.with_name(f".{path.name}")
    try:
        temporary.write_text(json.dumps(content), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        print(f"problem: {path} cannot be written: {error.strerror}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
