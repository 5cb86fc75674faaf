"""Hypothesis strategies for every part of the answers, hostile text included."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from moorage.answers.model import (
    Answers,
    CertificateFiles,
    Credentials,
    FilesystemStorage,
    PrivateCa,
    Registry,
    S3Storage,
    Server,
    Ssl,
    Storage,
    User,
)
from moorage.answers.secrets import (
    FromCommand,
    FromEnvironment,
    FromFile,
    FromKeyring,
    FromPrompt,
    Generated,
    Hash,
)
from moorage.answers.ssl import Acme, DnsChallenge, ExternalAccount

HOSTILE = (
    "no", "yes", "on", "null", "~", "1", "1e3", "0x1f", "0o14", "012", "22:22", "1.5", ".5", ".inf",
    "2020-01-01", "=", "<<", "*a", "&a", "!a", "@a", "`a", "%a", "- a", "? a", "a: b", "a #b", "#",
    "'", '"', "\\", "{a}", "[a]", "{", "}", ",", "|", ">", "---", "...", " a ", "é", "\U0001f600",
    "a\u00a0b", "\ufeffa", "a\u2028b", "a\x85b", "$(id)", "${A}",
)  # fmt: skip

text = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=30))
line = text.filter(
    lambda value: value != "" and not any(ord(each) < 32 or ord(each) == 127 for each in value)
)
path = line
word = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9-]{0,8}[A-Za-z0-9])?", fullmatch=True)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


references = st.one_of(
    st.builds(FromEnvironment, st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True)),
    st.builds(FromFile, line),
    st.builds(FromCommand, st.lists(line, min_size=1, max_size=3).map(tuple)),
    st.builds(FromKeyring, line),
    st.just(FromPrompt(True)),
)
hashes = st.one_of(
    st.from_regex(r"\$2y\$12\$[./A-Za-z0-9]{53}", fullmatch=True),
    st.from_regex(r"\$apr1\$[./A-Za-z0-9]{8}\$[./A-Za-z0-9]{22}", fullmatch=True),
).map(Hash)
passwords = references | hashes | st.just(Generated(True))

settings = st.dictionaries(
    text,
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | text,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)
domains = st.lists(word, min_size=1, max_size=3).map(
    lambda labels: ".".join([*labels, "example"]).lower()
)
variables = st.dictionaries(
    st.from_regex(r"REGISTRY_[A-Z0-9_]{1,12}", fullmatch=True),
    line | st.just("") | st.booleans() | st.integers(-(2**63), 2**63 - 1) | references,
    max_size=3,
)
registries = st.builds(
    Registry,
    domain=domains,
    port=st.integers(1, 65535),
    listen=st.lists(st.ip_addresses().map(str), max_size=2).map(tuple),
    proxy_protocol=st.booleans(),
    redirect_http=st.booleans(),
    runtime=st.sampled_from(["docker", "podman", "package"]),
    image=st.sampled_from(["docker.io/library/registry:3.1.1", "registry", "a.example:5000/b/c:2"]),
    image_archive=maybe(path),
    version=st.sampled_from([None, "2.8", "3"]),
    settings=settings,
    environment=variables,
)
hosts = domains | st.ip_addresses().map(str)
servers = st.builds(
    Server,
    host=hosts,
    connection=st.sampled_from(["ssh", "local"]),
    user=maybe(st.sampled_from(["root", "deploy", "no", "_a$"])),
    port=maybe(st.integers(1, 65535)),
    key=maybe(path),
    passphrase=maybe(references),
    password=maybe(references),
    sudo_password=maybe(references),
    jump=maybe(line),
    address=maybe(hosts),
    runtime=st.sampled_from([None, "docker", "package"]),
)
users = st.builds(
    User,
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,9}", fullmatch=True)
    | st.sampled_from(["no", "1e3", "0", "null"]),
    access=st.sampled_from(["push", "pull"]),
    password=passwords,
)
sizes = st.integers(5 * 1024**2, 5 * 1024**3)
s3 = st.tuples(maybe(references), maybe(references)).flatmap(
    lambda keys: st.builds(
        S3Storage,
        bucket=st.just("bucket"),
        region=word,
        accesskey=st.just(keys[0] if keys[1] is not None else None),
        secretkey=st.just(keys[1] if keys[0] is not None else None),
        regionendpoint=st.sampled_from([None, "https://s3.example.com:9000"]),
        forcepathstyle=maybe(st.booleans()),
        encrypt=st.booleans(),
        keyid=maybe(line),
        secure=st.booleans(),
        skipverify=st.booleans(),
        v4auth=st.booleans(),
        chunksize=sizes,
        multipartcopychunksize=maybe(sizes),
        multipartcopymaxconcurrency=maybe(st.integers(1, 1000)),
        multipartcopythresholdsize=maybe(sizes),
        rootdirectory=st.sampled_from([None, "", "/a", "a/b"]),
        storageclass=st.sampled_from([None, "STANDARD"]),
        objectacl=st.sampled_from([None, "private"]),
        useragent=maybe(line),
        usedualstack=maybe(st.booleans()),
        accelerate=maybe(st.booleans()),
        usefipsendpoint=maybe(st.booleans()),
        loglevel=st.sampled_from([None, "off", "debug"]),
        redirect=st.booleans(),
    )
)
filesystems = st.builds(
    FilesystemStorage,
    path=st.sampled_from(["/var/lib/moorage/registry", "/srv/images"]),
    maxthreads=st.integers(25, 10000),
)
dns_challenges = st.builds(
    DnsChallenge,
    provider=st.just("rfc2136"),
    credentials=st.fixed_dictionaries(
        {
            "server": st.sampled_from(["203.0.113.53", "::1"]),
            "name": st.sampled_from(["key.", "no", "1e3"]),
            "secret": references,
        },
        optional={"port": st.integers(1, 65535)},
    ),
    propagation_seconds=maybe(st.integers(0, 3600)),
) | st.just(DnsChallenge(provider="route53"))
acme = st.tuples(maybe(dns_challenges), st.booleans()).flatmap(
    lambda drawn: st.builds(
        Acme,
        email=st.sampled_from([None, "ops@example.com"]),
        directory=st.sampled_from([None, "https://ca.example.com/acme"])
        if not drawn[1]
        else st.none(),
        staging=st.just(drawn[1]),
        ca_file=maybe(path),
        key_type=st.sampled_from(["ecdsa", "rsa"]),
        external_account=maybe(
            st.builds(ExternalAccount, kid=st.sampled_from(["kid-1", "1e3"]), hmac=references)
        ),
        challenge=st.sampled_from(["http-01"] if drawn[0] is None else ["http-01", "dns-01"]),
        dns=st.just(drawn[0]),
    )
)
certificates = st.builds(CertificateFiles, certificate=path, key=path)
ssl = st.builds(
    Ssl,
    mode=st.just("files"),
    files=certificates,
    private_ca=st.builds(
        PrivateCa,
        name=st.sampled_from(["Moorage private CA", "1.0", "A B"]),
        passphrase=maybe(references),
    ),
    profile=st.sampled_from(["intermediate", "modern"]),
    hsts=maybe(st.integers(1, 63072000)),
    trusted_proxies=st.lists(
        st.sampled_from(["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"]), max_size=2
    ).map(tuple),
) | st.builds(
    Ssl,
    mode=st.sampled_from(["private_ca", "acme", "none"]),
    acme=acme,
    files=maybe(certificates),
)


@st.composite
def answers(draw: st.DrawFn) -> Answers:
    """Whole answers, valid by the model's own rules."""
    listed = draw(st.lists(servers, min_size=1, max_size=3, unique_by=lambda each: each.host))
    driver = draw(st.sampled_from(["s3"] if len(listed) > 1 else ["s3", "filesystem"]))
    return Answers(
        registry=draw(registries),
        servers=tuple(listed),
        credentials=Credentials(
            users=tuple(
                draw(st.lists(users, min_size=1, max_size=3, unique_by=lambda each: each.name))
            )
        ),
        storage=Storage(
            driver=driver,
            filesystem=draw(filesystems),
            s3=draw(s3 if driver == "s3" else maybe(s3)),
        ),
        ssl=draw(ssl),
        rollout=draw(st.sampled_from(["rolling", "all_at_once"])),
        ask=tuple(draw(st.lists(st.sampled_from(["storage", "ssl", "dns"]), max_size=2))),
    )
