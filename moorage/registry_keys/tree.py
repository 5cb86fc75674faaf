"""The registry's configuration keys, by exact version, as a typed tree.

Sources: the registry's reference ("Configuring a registry" and the storage drivers' pages), its
parser's structures (configuration/configuration.go), and what its start does with the values
(registry/handlers/app.go). ``tests/lab/test_registry_settings.py`` compares the tree with real
registries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Version = Literal["2.8", "3.0", "3.1"]
VERSIONS: tuple[Version, ...] = ("2.8", "3.0", "3.1")
Kind = Literal["flag", "number", "text", "duration", "texts", "headers", "map", "free"]
Form = Literal["url", "web_url", "regular_expressions", "metrics_path"]
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Key:
    """A key that has a value.

    Attributes:
        kind: What the value is: flag (true or false), number (whole), text, duration (``10s``),
            texts (a list of text), headers (names, each with a list of text), map (keys and
            values), free (anything).
        versions: The versions with the key.
        choices: The allowed texts; empty for any.
        any_case: Whether the choices can be in capitals.
        minimum: The least number, or None.
        form: What else the text has to be; empty for any.
        is_raw: Whether the registry takes the value as YAML has it, without converting it: no
            number for a text, no null.
        is_ignored: Whether the registry ignores an invalid value instead of refusing to start.
        is_secret: Whether the value must not be in plain text.
        owned: Why operators cannot set it; empty if they can.
        field: The name in environment variables, if the registry has another one there.
    """

    kind: Kind
    versions: tuple[Version, ...] = VERSIONS
    choices: tuple[str, ...] = ()
    any_case: bool = False
    minimum: int | None = None
    form: Form | Literal[""] = ""
    is_raw: bool = False
    is_ignored: bool = False
    is_secret: bool = False
    owned: str = ""
    field: str = ""


@dataclass(frozen=True)
class Section:
    """A key that has keys below it.

    Attributes:
        keys: The keys below.
        versions: The versions with the section.
        owned: Why operators cannot set it; empty if they can.
        is_list: Whether it is a list of such sections.
        is_raw: Whether null keeps the registry from starting.
        field: The name in environment variables, if the registry has another one there.
    """

    keys: Mapping[str, Node] = field(default_factory=dict)
    versions: tuple[Version, ...] = VERSIONS
    owned: str = ""
    is_list: bool = False
    is_raw: bool = False
    field: str = ""


Node = Key | Section

_FLAG = Key("flag")
_NUMBER = Key("number")
_TEXT = Key("text")
_DURATION = Key("duration")
_TEXTS = Key("texts")
_HEADERS = Key("headers")
_SECRET = Key("text", is_secret=True)
# Below storage, the registry does not convert values.
_RAW_FLAG = Key("flag", is_raw=True)
_RAW_DURATION = Key("duration", is_raw=True)


def _new(node: Node) -> Node:
    """The same, since version 3.0."""
    return replace(node, versions=("3.0", "3.1"))


def _newest(node: Node) -> Node:
    """The same, since version 3.1."""
    return replace(node, versions=("3.1",))


def _old(node: Node) -> Node:
    """The same, in version 2.8 only."""
    return replace(node, versions=("2.8",))


def _items(keys: Mapping[str, Node]) -> Section:
    return Section(keys, is_list=True)


_STORAGE = "it comes from the answers' section storage"

_S3: dict[str, Node] = {
    "accesskey": _SECRET,
    "secretkey": _SECRET,
    "region": _TEXT,
    "regionendpoint": _TEXT,
    "bucket": _TEXT,
    "encrypt": _FLAG,
    "keyid": _TEXT,
    "secure": _FLAG,
    "skipverify": _FLAG,
    "v4auth": _FLAG,
    "chunksize": _NUMBER,
    "multipartcopychunksize": _NUMBER,
    "multipartcopymaxconcurrency": _NUMBER,
    "multipartcopythresholdsize": _NUMBER,
    "rootdirectory": _TEXT,
    "storageclass": _TEXT,
    "useragent": _TEXT,
    "objectacl": _TEXT,
    "forcepathstyle": _new(_FLAG),
    "usedualstack": _new(_FLAG),
    "accelerate": _new(_FLAG),
    "usefipsendpoint": _new(_FLAG),
    "loglevel": _new(_TEXT),
}
_AZURE: dict[str, Node] = {
    "accountname": _TEXT,
    "accountkey": _SECRET,
    "connectionstring": _new(_SECRET),
    "skipverify": _new(_FLAG),
    "container": _TEXT,
    "realm": _TEXT,
    "rootdirectory": _new(_TEXT),
    "serviceurl": _new(_TEXT),
    "max_retries": _new(_NUMBER),
    "retry_delay": _new(_DURATION),
    "credentials": _new(
        Section(
            {
                "type": Key("text", choices=("client_secret", "shared_key", "default_credentials")),
                "clientid": _TEXT,
                "tenantid": _TEXT,
                "secret": _SECRET,
            }
        )
    ),
}
_DRIVERS: dict[str, Section] = {
    "filesystem": Section({"rootdirectory": _TEXT, "maxthreads": _NUMBER}),
    "inmemory": Section(),
    "s3": Section(_S3),
    "azure": Section(_AZURE),
    "gcs": Section(
        {
            "bucket": _TEXT,
            "keyfile": _TEXT,
            "credentials": Key("map", is_secret=True),
            "rootdirectory": _TEXT,
            "chunksize": _NUMBER,
            "maxconcurrency": _NUMBER,
            "useragent": _new(_TEXT),
        }
    ),
    "swift": Section(
        {
            **dict.fromkeys(("authurl", "username", "region", "container", "tenant"), _TEXT),
            **dict.fromkeys(("tenantid", "domain", "domainid", "tenantdomain"), _TEXT),
            **dict.fromkeys(("tenantdomainid", "trustid", "prefix", "endpointtype"), _TEXT),
            **dict.fromkeys(("password", "secretkey", "accesskey", "tempurlcontainerkey"), _SECRET),
            "insecureskipverify": _FLAG,
            "chunksize": _NUMBER,
            "authversion": _NUMBER,
            "tempurlmethods": _TEXTS,
        },
        versions=("2.8",),
    ),
    "oss": Section(
        {
            **dict.fromkeys(("accesskeyid", "accesskeysecret"), _SECRET),
            **dict.fromkeys(("region", "endpoint", "bucket", "rootdirectory"), _TEXT),
            **dict.fromkeys(("internal", "encrypt", "secure"), _FLAG),
            "encryptionkeyid": _TEXT,
            "chunksize": _NUMBER,
        },
        versions=("2.8",),
    ),
}
DRIVERS = tuple(_DRIVERS)
"""The storage drivers' names."""

_REDIS: dict[str, Node] = {
    "addr": _old(_TEXT),
    "addrs": _new(_TEXTS),
    "username": _new(_TEXT),
    "password": _SECRET,
    "sentinelusername": _new(_TEXT),
    "sentinelpassword": _new(_SECRET),
    "db": _NUMBER,
    "dialtimeout": _DURATION,
    "readtimeout": _DURATION,
    "writetimeout": _DURATION,
    "pool": _old(Section({"maxidle": _NUMBER, "maxactive": _NUMBER, "idletimeout": _DURATION})),
    "tls": _new(
        Section(
            {
                **dict.fromkeys(("certificate", "key"), _TEXT),
                "clientcas": replace(_TEXTS, versions=("3.0",)),
                "rootcas": _newest(_TEXTS),
            }
        )
    ),
    **dict.fromkeys(("clientname", "mastername", "identitysuffix"), _new(_TEXT)),
    **dict.fromkeys(("protocol", "maxretries", "poolsize", "minidleconns"), _new(_NUMBER)),
    **dict.fromkeys(("maxidleconns", "maxactiveconns", "maxredirects"), _new(_NUMBER)),
    **dict.fromkeys(("minretrybackoff", "maxretrybackoff", "pooltimeout"), _new(_DURATION)),
    **dict.fromkeys(("connmaxidletime", "connmaxlifetime"), _new(_DURATION)),
    **dict.fromkeys(("contexttimeoutenabled", "poolfifo", "readonly"), _new(_FLAG)),
    **dict.fromkeys(("routebylatency", "routerandomly", "disableidentity"), _new(_FLAG)),
    "unstableresp3": _new(_FLAG),
}
_LEVEL = Key("text", choices=("error", "warn", "info", "debug"), any_case=True)
# Levels of the logging library, not of the registry's own log.level.
_HOOK_LEVELS = Key(
    "texts",
    choices=("panic", "fatal", "error", "warn", "warning", "info", "debug", "trace"),
    any_case=True,
    is_ignored=True,
)
_SLOTS = "Moorage sets it: each of the registry's two slots has its own"
_MIDDLEWARE = _items({"name": _TEXT, "disabled": _FLAG, "options": Key("map")})

TREE = Section(
    {
        "version": Key("free", owned="Moorage writes it"),
        "log": Section(
            {
                "level": _LEVEL,
                "formatter": Key("text", choices=("text", "json", "logstash", "")),
                "fields": Key("map"),
                "reportcaller": _new(_FLAG),
                "accesslog": Section({"disabled": _FLAG}),
                "hooks": _items(
                    {
                        "type": Key("text", choices=("mail",), is_ignored=True),
                        "disabled": _FLAG,
                        "levels": _HOOK_LEVELS,
                        "options": Section(
                            {
                                "smtp": Section(
                                    {
                                        "addr": _TEXT,
                                        "username": _TEXT,
                                        "password": _SECRET,
                                        "insecure": _FLAG,
                                    }
                                ),
                                "from": _TEXT,
                                "to": _TEXTS,
                            },
                            field="mailoptions",
                        ),
                    }
                ),
            }
        ),
        "loglevel": _LEVEL,
        "storage": Section(
            {
                **{name: replace(each, owned=_STORAGE) for name, each in _DRIVERS.items()},
                "delete": Section({"enabled": replace(_FLAG, is_ignored=True)}),
                "redirect": Section({"disable": _RAW_FLAG}, is_raw=True),
                "tag": _new(Section({"concurrencylimit": Key("number", minimum=0, is_raw=True)})),
                "cache": Section(
                    {
                        "blobdescriptor": Key(
                            "text", choices=("inmemory", "redis", ""), is_ignored=True
                        ),
                        "layerinfo": Key("free"),
                        "blobdescriptorsize": _new(replace(_NUMBER, is_raw=True, is_ignored=True)),
                    }
                ),
                "maintenance": Section(
                    {
                        "uploadpurging": Section(
                            {
                                "enabled": replace(_FLAG, is_ignored=True),
                                "age": _RAW_DURATION,
                                "interval": _RAW_DURATION,
                                "dryrun": _RAW_FLAG,
                            },
                            is_raw=True,
                        ),
                        "readonly": Section({"enabled": _RAW_FLAG}, is_raw=True),
                    }
                ),
            }
        ),
        "auth": Section(
            dict.fromkeys(("htpasswd", "token", "silly", "none"), Key("map")),
            owned="nginx checks passwords; the users are in the answers' section credentials",
        ),
        "middleware": Section(dict.fromkeys(("registry", "repository", "storage"), _MIDDLEWARE)),
        "reporting": Section(
            {
                "bugsnag": Section({"apikey": _SECRET, "releasestage": _TEXT, "endpoint": _TEXT}),
                "newrelic": Section({"licensekey": _SECRET, "name": _TEXT, "verbose": _FLAG}),
            },
            versions=("2.8",),
        ),
        "http": Section(
            {
                "addr": Key("text", owned=_SLOTS),
                "net": Key("text", owned=_SLOTS),
                "prefix": Key("text", owned="the registry is served at the root of its domain"),
                "secret": Key(
                    "text",
                    is_secret=True,
                    owned="Moorage generates it for all servers",
                ),
                "tls": Key("map", owned="nginx terminates TLS; see the answers' section ssl"),
                "host": Key("text", form="url"),
                "relativeurls": _FLAG,
                "draintimeout": _DURATION,
                "headers": _HEADERS,
                "debug": Section(
                    {
                        "addr": Key("text", owned=_SLOTS),
                        "prometheus": Section(
                            {"enabled": _FLAG, "path": Key("text", form="metrics_path")}
                        ),
                    }
                ),
                "http2": Section({"disabled": _FLAG}),
                "h2c": _new(Section({"enabled": _FLAG})),
            }
        ),
        "notifications": Section(
            {
                "events": Section({"includereferences": _FLAG}, field="eventconfig"),
                "endpoints": _items(
                    {
                        "name": _TEXT,
                        "disabled": _FLAG,
                        "url": _TEXT,
                        "headers": _HEADERS,
                        "timeout": _DURATION,
                        "threshold": _NUMBER,
                        "backoff": _DURATION,
                        "ignoredmediatypes": _TEXTS,
                        "ignore": Section({"mediatypes": _TEXTS, "actions": _TEXTS}),
                    }
                ),
            }
        ),
        "redis": Section(_REDIS),
        "health": Section(
            {
                "storagedriver": Section(
                    {"enabled": _FLAG, "interval": _DURATION, "threshold": _NUMBER}
                ),
                "file": replace(
                    _items({"file": _TEXT, "interval": _DURATION, "threshold": _NUMBER}),
                    field="filecheckers",
                ),
                "http": replace(
                    _items(
                        {
                            "uri": _TEXT,
                            "headers": _HEADERS,
                            "statuscode": _NUMBER,
                            "timeout": _DURATION,
                            "interval": _DURATION,
                            "threshold": _NUMBER,
                        }
                    ),
                    field="httpcheckers",
                ),
                "tcp": replace(
                    _items(
                        {
                            "addr": _TEXT,
                            "timeout": _DURATION,
                            "interval": _DURATION,
                            "threshold": _NUMBER,
                        }
                    ),
                    field="tcpcheckers",
                ),
            }
        ),
        "catalog": Section({"maxentries": _NUMBER}),
        "tags": _newest(Section({"maxtags": Key("number", minimum=0)})),
        "proxy": Section(
            {
                "remoteurl": Key("text", form="web_url"),
                "username": _TEXT,
                "password": _SECRET,
                "ttl": _new(_DURATION),
                "cachewritetimeout": _newest(_DURATION),
                "exec": _new(Section({"command": _TEXT, "lifetime": _DURATION})),
            }
        ),
        "compatibility": _old(
            Section({"schema1": Section({"enabled": _FLAG, "signingkeyfile": _TEXT})})
        ),
        "validation": Section(
            {
                "enabled": _FLAG,
                "disabled": _FLAG,
                "manifests": Section(
                    {
                        "urls": Section(
                            dict.fromkeys(
                                ("allow", "deny"), Key("texts", form="regular_expressions")
                            )
                        ),
                        "indexes": _new(
                            Section(
                                {
                                    "platforms": Key(
                                        "text", choices=("all", "none", "list"), any_case=True
                                    ),
                                    "platformlist": _items({"architecture": _TEXT, "os": _TEXT}),
                                }
                            )
                        ),
                    }
                ),
            }
        ),
        "policy": Section({"repository": Section({"classes": _TEXTS})}),
    }
)
"""The whole configuration."""


def names(node: Node = TREE, above: str = "REGISTRY") -> Iterator[str]:
    """Yield the names of all environment variables, except for items of lists and maps."""
    for key, below in node.keys.items() if isinstance(node, Section) else ():
        name = f"{above}_{key.upper()}"
        yield name
        if isinstance(below, Section) and not below.is_list:
            yield from names(below, name)
