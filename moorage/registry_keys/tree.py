"""The registry's configuration keys, versions 2.8 and 3, as a typed tree.

Sources: the registry's reference ("Configuring a registry" and the storage drivers' pages) and its
parser's structures (configuration/configuration.go).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Version = Literal["2.8", "3"]
Kind = Literal["flag", "number", "text", "duration", "texts", "headers", "map", "free"]
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Key:
    """A key that has a value.

    Attributes:
        kind: What the value is: flag (true or false), number (whole), text, duration (``10s``),
            texts (a list of text), headers (names, each with a list of text), map (keys and
            values), free (anything).
        only: The only version with the key; None if both have it.
        choices: The allowed texts; empty for any.
        is_secret: Whether the value must not be in plain text.
        owned: Why operators cannot set it; empty if they can.
    """

    kind: Kind
    only: Version | None = None
    choices: tuple[str, ...] = ()
    is_secret: bool = False
    owned: str = ""


@dataclass(frozen=True)
class Section:
    """A key that has keys below it.

    Attributes:
        keys: The keys below.
        only: The only version with the section; None if both have it.
        owned: Why operators cannot set it; empty if they can.
        is_list: Whether it is a list of such sections.
    """

    keys: Mapping[str, Node] = field(default_factory=dict)
    only: Version | None = None
    owned: str = ""
    is_list: bool = False


Node = Key | Section

_FLAG = Key("flag")
_NUMBER = Key("number")
_TEXT = Key("text")
_DURATION = Key("duration")
_TEXTS = Key("texts")
_HEADERS = Key("headers")
_SECRET = Key("text", is_secret=True)


def _new(node: Node) -> Node:
    """The same, in version 3 only."""
    return replace(node, only="3")


def _old(node: Node) -> Node:
    """The same, in version 2.8 only."""
    return replace(node, only="2.8")


def _items(keys: Mapping[str, Node]) -> Section:
    return Section(keys, is_list=True)


_STORAGE = "the answers' section storage decides it"

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
    "sessiontoken": _SECRET,
    "forcepathstyle": _new(_FLAG),
    "usedualstack": _new(_FLAG),
    "accelerate": _new(_FLAG),
    "usefipsendpoint": _new(_FLAG),
    "loglevel": _new(_TEXT),
}
_AZURE: dict[str, Node] = {
    "accountname": _TEXT,
    "accountkey": _SECRET,
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
        only="2.8",
    ),
    "oss": Section(
        {
            **dict.fromkeys(("accesskeyid", "accesskeysecret"), _SECRET),
            **dict.fromkeys(("region", "endpoint", "bucket", "rootdirectory"), _TEXT),
            **dict.fromkeys(("internal", "encrypt", "secure"), _FLAG),
            "encryptionkeyid": _TEXT,
            "chunksize": _NUMBER,
        },
        only="2.8",
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
    "tls": Section(
        {
            "enabled": _old(_FLAG),
            **dict.fromkeys(("certificate", "key"), _new(_TEXT)),
            **dict.fromkeys(("clientcas", "rootcas"), _new(_TEXTS)),
        }
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
_LEVEL = Key("text", choices=("error", "warn", "info", "debug"))
_SLOTS = "Moorage sets it: each of the registry's two slots has its own"
_MIDDLEWARE = _items({"name": _TEXT, "disabled": _FLAG, "options": Key("map")})

TREE = Section(
    {
        "version": Key("free", owned="Moorage writes it"),
        "log": Section(
            {
                "level": _LEVEL,
                "formatter": Key("text", choices=("text", "json", "logstash")),
                "fields": Key("map"),
                "reportcaller": _FLAG,
                "accesslog": Section({"disabled": _FLAG}),
                "hooks": _items(
                    {
                        "type": _TEXT,
                        "disabled": _FLAG,
                        "levels": _TEXTS,
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
                            }
                        ),
                    }
                ),
            }
        ),
        "loglevel": _LEVEL,
        "storage": Section(
            {
                **{name: replace(each, owned=_STORAGE) for name, each in _DRIVERS.items()},
                "delete": Section({"enabled": _FLAG}),
                "redirect": Section({"disable": _FLAG}),
                "tag": _new(Section({"concurrencylimit": _NUMBER})),
                "cache": Section(
                    {
                        "blobdescriptor": Key("text", choices=("inmemory", "redis")),
                        "layerinfo": Key("text", choices=("inmemory", "redis")),
                        "blobdescriptorsize": _new(_NUMBER),
                    }
                ),
                "maintenance": Section(
                    {
                        "uploadpurging": Section(
                            {
                                "enabled": _FLAG,
                                "age": _DURATION,
                                "interval": _DURATION,
                                "dryrun": _FLAG,
                            }
                        ),
                        "readonly": Section({"enabled": _FLAG}),
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
            only="2.8",
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
                "host": _TEXT,
                "relativeurls": _FLAG,
                "draintimeout": _DURATION,
                "headers": _HEADERS,
                "debug": Section(
                    {
                        "addr": Key("text", owned=_SLOTS),
                        "prometheus": Section({"enabled": _FLAG, "path": _TEXT}),
                    }
                ),
                "http2": Section({"disabled": _FLAG}),
                "h2c": _new(Section({"enabled": _FLAG})),
            }
        ),
        "notifications": Section(
            {
                "events": Section({"includereferences": _FLAG}),
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
                "file": _items({"file": _TEXT, "interval": _DURATION, "threshold": _NUMBER}),
                "http": _items(
                    {
                        "uri": _TEXT,
                        "headers": _HEADERS,
                        "statuscode": _NUMBER,
                        "timeout": _DURATION,
                        "interval": _DURATION,
                        "threshold": _NUMBER,
                    }
                ),
                "tcp": _items(
                    {
                        "addr": _TEXT,
                        "timeout": _DURATION,
                        "interval": _DURATION,
                        "threshold": _NUMBER,
                    }
                ),
            }
        ),
        "catalog": Section({"maxentries": _NUMBER}),
        "tags": _new(Section({"maxtags": _NUMBER})),
        "proxy": Section(
            {
                "remoteurl": _TEXT,
                "username": _TEXT,
                "password": _SECRET,
                "remotenamespace": _new(_TEXT),
                "ttl": _new(_DURATION),
                "cachewritetimeout": _new(_DURATION),
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
                        "urls": Section({"allow": _TEXTS, "deny": _TEXTS}),
                        "indexes": _new(
                            Section(
                                {
                                    "platforms": Key("text", choices=("all", "none", "list")),
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
