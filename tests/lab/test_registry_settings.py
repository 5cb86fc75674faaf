"""Registry settings are valid here exactly if real registries start with them.

The registries run as processes on this machine: 2.8 from Debian's package, 3.0 and 3.1 where
MOORAGE_TEST_REGISTRY_3_0 and MOORAGE_TEST_REGISTRY_3 name them.
"""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from registry_process import PING, answers_to, registry_process
from thorough import IS_THOROUGH

from moorage.answers.model import Answers
from moorage.answers.secrets import Secret
from moorage.desired.registry import config_file, environment_file
from moorage.desired.state import Materials
from moorage.registry_keys import check_registry
from moorage.registry_keys.contradictions import merged
from moorage.registry_keys.tree import TREE, Key, Node, Section, Version
from moorage.registry_keys.tree import Path as KeyPath

pytestmark = pytest.mark.ready

CLOUD_KEY = "/nowhere/key.pem"

# Values of each kind: right ones, wrong ones, and ones that YAML has another type for.
VALUES: dict[str, list[Any]] = {
    "flag": [True, False, None, "yes", 1],
    "number": [7, 0, -1, None, "7", 5.5, True],
    "text": ["a", "", 7, None, ["a"], {"a": 1}],
    "duration": ["90s", "1h30m", "-5s", 0, "0", 60, "60", "1 m", None, True],
    "texts": [["a", "b"], [], [1728000, True], None, "a", [["a"]], {"a": "b"}],
    "headers": [{"X-A": ["b"]}, {"Access-Control-Max-Age": [1728000]}, {"A": "b"}, ["a"], None],
    "map": [{"a": "b"}, {}, None, ["a"], "a"],
    "free": ["a", 7],
}
SECTIONS: list[Any] = [{}, None, "a", 7, ["a"]]
LISTS: list[Any] = [[], None, [None], "a", {"a": 1}, ["a"]]
# What only some keys take or refuse.
BY_KEY: dict[str, list[Any]] = {
    "log.formatter": ["json", "logstash", "JSON"],
    "log.level": ["INFO", "trace"],
    "loglevel": ["error"],
    "storage.cache.blobdescriptor": ["inmemory", "redis", "Redis"],
    "http.host": ["https://registry.example.com", "http://a b", ":80", "1.2.3.4:80"],
    "http.debug.prometheus.path": ["/metrics", "metrics", "/a b"],
    "proxy.remoteurl": ["registry.example.com", "ftp://a.example.com", "https://", "http://a b"],
    "validation.manifests.urls.allow": [["^https?://a\\.example\\.com/"], ["(?=a)"], ["a{1001}"]],
    "validation.manifests.urls.deny": [
        ["[[:alpha:]]+\\z"],
        ["[b-a]"],
        ["(?P<n>a)(?P<n>b)"],
        ["(?<n>a)"],
    ],
    "validation.manifests.indexes.platforms": ["all", "LIST", "some"],
}
TOGETHER: list[dict[str, Any]] = [
    {"storage": {"cache": {"blobdescriptor": "redis"}}},
    {"storage": {"cache": {"blobdescriptor": "redis"}}, "redis": {"addr": "127.0.0.1:1"}},
    {"storage": {"cache": {"blobdescriptor": "redis"}}, "redis": {"addrs": ["127.0.0.1:1"]}},
    {"storage": {"cache": {"blobdescriptor": "redis"}}, "redis": {"addrs": []}},
    {"redis": {"addrs": ["127.0.0.1:1"], "poolsize": -1}},
    {"redis": {"addrs": ["127.0.0.1:1"], "db": -1, "protocol": 9, "maxretries": -1}},
    {"redis": {"addrs": ["127.0.0.1:1", "127.0.0.1:2"], "minidleconns": -1, "maxidleconns": -1}},
    {"redis": {"addrs": ["127.0.0.1:1"], "mastername": "m", "routebylatency": True}},
    {"storage": {"maintenance": {"uploadpurging": {"enabled": False, "age": 0}}}},
    {"storage": {"maintenance": {"readonly": {"enabled": True}}}},
    {"validation": {"disabled": True, "manifests": {"urls": {"allow": ["("]}}}},
    {"health": {"file": [{"file": "/a"}, {"file": "/a"}]}},
    {"health": {"file": [{"file": "/a"}], "tcp": [{"addr": "/a"}]}},
    {"health": {"storagedriver": {"enabled": False, "interval": "-1s"}}},
    {
        "middleware": {
            "storage": [{"name": "redirect", "options": {"baseurl": "https://a.example"}}]
        }
    },
    {"middleware": {"storage": [{"name": "redirect", "options": {"baseurl": "a.example.com"}}]}},
    {"middleware": {"storage": [{"name": "redirect", "options": {}}]}},
    {"middleware": {"storage": [{"name": "redirect", "disabled": True}]}},
    {"middleware": {"storage": [{"name": "rewrite", "options": {"host": "a.example.com"}}]}},
    {"middleware": {"storage": [{"name": "rewrite", "options": {"host": 7}}]}},
    {"middleware": {"storage": [{"name": "Redirect", "options": {"baseurl": "https://a"}}]}},
    {"middleware": {"storage": [{"name": "cloudfront", "options": {"baseurl": "https://a"}}]}},
    {"middleware": {"registry": [{"name": "a"}]}},
    {"log": {"hooks": [{"type": "mail", "levels": ["Error", "loud"]}, {"type": "pager"}]}},
    {"notifications": {"endpoints": [{"name": "a", "url": "b"}, {"name": "a", "url": "b"}]}},
]


def _answers(settings: Mapping[str, Any], version: Version, **others: Any) -> Answers:
    return Answers.model_validate(
        {
            "registry": {
                "domain": "registry.example.com",
                "version": version,
                # Not the package's list of S3 regions, which depends on the distribution's release.
                "runtime": "docker",
                "settings": settings,
                **others.pop("registry", {}),
            },
            "servers": [{"host": "one"}],
            "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
            **others,
        }
    )


def _keys(section: Section = TREE, above: KeyPath = ()) -> Iterator[tuple[KeyPath, Node]]:
    """Yield every key that operators can set, except for secrets; ``0`` is a list's first item."""
    for name, node in section.keys.items():
        if node.owned or (isinstance(node, Key) and node.is_secret):
            continue
        path = (*above, name)
        yield path, node
        if isinstance(node, Section):
            below = Section(node.keys)
            yield from _keys(below, (*path, 0) if node.is_list else path)


def _values(path: KeyPath, node: Node) -> list[Any]:
    special = BY_KEY.get(".".join(map(str, path)), [])
    if isinstance(node, Section):
        return special + (LISTS if node.is_list else SECTIONS)
    right, *others = VALUES[node.kind]
    # Two of the others, so that all keys of a kind together have them all.
    first = sum(map(ord, ".".join(map(str, path)))) % len(others)
    return [*special, right, *(others * 2)[first : first + 2]]


def _at(path: KeyPath, value: Any) -> dict[str, Any]:
    for part in reversed(path):
        value = [value] if part == 0 and isinstance(part, int) else {part: value}
    return dict(value)


def _one_key(version: Version) -> Iterator[dict[str, Any]]:
    for path, node in _keys():
        is_file = path[-1] == "signingkeyfile"
        if version in node.versions and not is_file:
            yield from (_at(path, value) for value in _values(path, node))


def _several_keys(seed: int, count: int) -> Iterator[dict[str, Any]]:
    """Yield settings with two to six keys at random, most of them right."""
    chance = random.Random(seed)
    keys = [(path, node) for path, node in _keys() if path[-1] != "signingkeyfile"]
    for _ in range(count):
        settings: dict[str, Any] = {}
        for path, node in chance.sample(keys, chance.randint(2, 6)):
            values = _values(path, node)
            value = values[0] if chance.random() < 0.85 else chance.choice(values)
            settings = merged(settings, _at(path, value))
        yield settings


class Registry:
    """A real registry of one version.

    Attributes:
        version: Its version, as the answers have it.
        starts: How often it was started.
    """

    def __init__(self, version: Version, program: Path, folder: Path) -> None:
        self.version = version
        self._program = program
        self._folder = folder
        self.starts = 0

    def fault(self, answers: Answers, environment: Mapping[str, str] | None = None) -> str | None:
        """Return why the registry does not start with the answers, or None if it does."""
        self.starts += 1
        folder = self._folder / str(self.starts)
        config = (
            config_file(answers, "blue")
            .decode()
            .replace("/run/moorage-registry/blue/registry.sock", str(folder / "socket"))
            .replace(answers.storage.filesystem.path, str(folder / "images"))
            .replace("127.0.0.1:5111", "127.0.0.1:0")
        )
        with registry_process(self._program, config, folder, environment) as process:
            is_up = answers_to(process, folder / "socket", PING)
            if is_up:
                time.sleep(0.02)  # in the background, it can fail after it has answered
                is_up = process.poll() is None
        return None if is_up else (folder / "log").read_text(errors="replace")[-4000:]

    def difference(self, answers: Answers) -> str:
        """Return how Moorage and the registry differ about the answers; empty if they agree."""
        problems = check_registry(answers)
        fault = self.fault(answers)
        if fault is not None and not problems:
            return f"valid, but does not start: {fault}"
        if fault is None and any(problem.code == "does_not_start" for problem in problems):
            return "starts, but: " + "; ".join(map(str, problems))
        return ""


@pytest.fixture(params=["2.8", "3.0", "3.1"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Registry:
    """A registry of each version."""
    return Registry(request.param, request.getfixturevalue(f"registry_{request.param}"), tmp_path)


def _differences(registry: Registry, cases: Iterator[dict[str, Any]]) -> list[str]:
    found = []
    for settings in cases:
        difference = registry.difference(_answers(settings, registry.version))
        if difference:
            found.append(f"{json.dumps(settings)} {difference}")
    return found


def test_every_key_is_valid_exactly_if_the_registry_starts(registry: Registry) -> None:
    cases = itertools.chain(_one_key(registry.version), TOGETHER)
    assert _differences(registry, cases) == []
    assert registry.starts > 400


def test_generated_settings_are_valid_exactly_if_the_registry_starts(registry: Registry) -> None:
    assert _differences(registry, _several_keys(7, 300 if IS_THOROUGH else 100)) == []


def test_values_of_s3_are_valid_exactly_if_the_registry_starts(registry: Registry) -> None:
    values: list[dict[str, Any]] = [
        *(
            {"region": each}
            for each in ("eu-central-1", "eu-south-2", "eu-north-1", "eu-nowhere-1")
        ),
        {"region": "eu-nowhere-1", "regionendpoint": "http://127.0.0.1:1"},
        *({"storageclass": each} for each in ("NONE", "STANDARD_IA", "EXPRESS_ONEZONE", "GLACIER")),
        *({"objectacl": each} for each in ("private", "bucket-owner-read", "nobody")),
        {"v4auth": False},
        {"v4auth": False, "regionendpoint": "http://127.0.0.1:1"},
        {"multipartcopychunksize": 5 * 1024**3, "multipartcopythresholdsize": 5 * 1024**3},
    ]
    runtime = "package" if registry.version == "2.8" else "docker"
    for value in values:
        s3 = {"bucket": "images", "region": "eu-central-1", **value}
        storage = {"driver": "s3", "s3": s3}
        answers = _answers({}, registry.version, storage=storage, registry={"runtime": runtime})
        assert registry.difference(answers) == "", value


def test_secrets_in_lists_reach_the_registry(registry: Registry) -> None:
    """2.8 ignores variables for items of lists, so Moorage gives it whole lists."""
    secrets = {
        "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_HEADERS": "{Authorization: ['Bearer #1: x']}",
        "REGISTRY_NOTIFICATIONS_ENDPOINTS_1_URL": "http://u:p%23@127.0.0.1:1/b",
        "REGISTRY_HEALTH_HTTP_0_URI": "http://u:p@127.0.0.1:1/health",
    }
    settings = {
        "notifications": {
            "endpoints": [
                {"name": "one", "url": "http://127.0.0.1:1/a", "headers": {"X-Team": ["a"]}},
                {"name": "two", "timeout": "1s"},
            ]
        },
        "health": {"http": [{"interval": "10m", "statuscode": 204}]},
        "log": {"formatter": "json"},
    }
    answers = _answers(
        settings,
        registry.version,
        registry={"environment": {name: {"env": "X"} for name in secrets}},
    )
    assert check_registry(answers) == []
    resolved = {f"registry.environment.{name}": Secret(each) for name, each in secrets.items()}
    file = environment_file(answers, Materials(Secret("0" * 64), Secret(""), resolved)).decode()
    lines = [line for line in file.splitlines() if not line.startswith("#")]
    variables = {
        name: yaml.safe_load(value) for name, value in (line.split("=", 1) for line in lines)
    }

    assert registry.fault(answers, variables) is None

    log = (registry._folder / "1" / "log").read_text()
    assert "configuring endpoint one (http://127.0.0.1:1/a)" in log
    assert "Authorization:[Bearer #1: x]" in log
    assert "X-Team:[a]" in log
    assert "configuring endpoint two (http://u:p%23@127.0.0.1:1/b), timeout=1s" in log
    assert "health check uri=http://u:p@127.0.0.1:1/health, interval=600" in log
    assert "unrecognized" not in log
