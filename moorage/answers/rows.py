"""The meaning of answers as rows: a line for each section, without rendering any file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from moorage.answers.model import Answers, Keep, RetentionRule, Server, User
from moorage.answers.repository_rules import repositories_note
from moorage.rows import Row

_MOST_NAMES = 4


def answers_rows(answers: Answers) -> list[Row]:
    """Return what answers mean, as rows; the keys are the first parts of the fields' paths.

    Args:
        answers: The answers.
    """
    return [
        Row("registry", "Address", _address(answers)),
        Row("servers", "Servers", _listed(_server(each) for each in answers.servers)),
        Row("credentials", "Users", _users(answers.credentials.users)),
        Row("storage", "Images", _images(answers)),
        *_retention(answers),
        Row("dns", "DNS", "; ".join(_dns(answers))),
        Row("ssl", "Certificate", _certificate(answers)),
        Row("advanced", "Runs as", ", ".join(_runtime(answers))),
    ]


def _address(answers: Answers) -> str:
    registry = answers.registry
    if answers.ssl.mode == "none":
        return f"{registry.domain}, over HTTP on port {registry.port}, behind a load balancer"
    port = "" if registry.port == 443 else f":{registry.port}"
    return f"https://{registry.domain}{port}"


def _listed(names: Iterator[str]) -> str:
    found = list(names)
    more = len(found) - _MOST_NAMES
    return ", ".join([*found[:_MOST_NAMES], *([f"{more} more"] if more > 0 else [])])


def _server(server: Server) -> str:
    if server.connection == "local":
        return "this machine"
    user = f"{server.user}@" if server.user else ""
    return f"{user}{server.host}{f':{server.port}' if server.port else ''}"


def _users(users: Sequence[User]) -> str:
    listed = _listed(_user(each) for each in users)
    note = repositories_note(*(each.repositories for each in users))
    return f"{listed}. {note}" if note else listed


def _user(user: User) -> str:
    if user.disabled:
        return f"{user.name} (disabled)"
    where = f" in {', '.join(user.repositories)}" if user.repositories else ""
    return f"{user.name} ({user.access}{where})"


def _images(answers: Answers) -> str:
    storage = answers.storage
    if storage.driver == "filesystem" or storage.s3 is None:
        return f"on the server's disk, in {storage.filesystem.path}"
    s3 = storage.s3
    where = urlsplit(s3.regionendpoint).netloc if s3.regionendpoint else s3.region
    return f"in the bucket {s3.bucket} at {where}"


def _retention(answers: Answers) -> Iterator[Row]:
    """Yield the rules, in order, and when they apply; nothing without any."""
    if answers.retention:
        yield Row("retention", "Retention", "; ".join(map(rule_text, answers.retention)))
    if answers.collect.when is not None:
        what = "removes tags by these rules and " if answers.retention else ""
        yield Row("collect", "Schedule", f"{answers.collect.when}: {what}frees the space")
    elif answers.retention:
        yield Row("collect", "Schedule", "none: the rules apply with 'moorage images retain'")


def rule_text(rule: RetentionRule) -> str:
    """Return a retention rule in words.

    Args:
        rule: The rule.
    """
    return f"{', '.join(rule.repositories)} keep {keep_text(rule.keep)}"


def keep_text(keep: Keep) -> str:
    """Return what a retention rule keeps, in words.

    Args:
        keep: Its conditions.
    """
    parts = []
    if keep.last is not None:
        parts.append("the last image" if keep.last == 1 else f"the last {keep.last} images")
    parts += [", ".join(keep.tags)] if keep.tags else []
    parts += [f"what was pushed within {keep.pushed_within}"] if keep.pushed_within else []
    parts += [f"what was pulled within {keep.pulled_within}"] if keep.pulled_within else []
    return " or ".join(parts)


def _dns(answers: Answers) -> Sequence[str]:
    dns = answers.dns
    providers = {"rfc2136": "a name server (RFC 2136)", "route53": "Route 53"}
    if dns.provider == "manual":
        who = "you create the records"
    else:
        name = dns.lexicon.name if dns.provider == "lexicon" and dns.lexicon else ""
        who = f"Moorage creates the records at {providers.get(dns.provider, name)}"
    return [who, *(["failed servers leave the record"] if dns.failover is not None else [])]


def _certificate(answers: Answers) -> str:
    ssl = answers.ssl
    if ssl.mode == "private_ca":
        return "from a private CA: every client has to trust it first"
    if ssl.mode == "files" and ssl.files is not None:
        return f"your own, {ssl.files.certificate}"
    if ssl.mode == "none":
        return "none: the load balancer has it"
    acme = ssl.acme
    authority = "Let's Encrypt" if acme.directory is None else urlsplit(acme.url).netloc
    if acme.staging:
        authority += " (staging: clients do not trust it)"
    proof = "by a DNS record" if acme.challenge == "dns-01" else "through port 80"
    return f"from {authority}, {proof}"


def _runtime(answers: Answers) -> Iterator[str]:
    registry = answers.registry
    if registry.runtime == "package":
        yield "Debian's docker-registry package"
    else:
        yield f"{registry.image} in {registry.runtime.capitalize()}"
    for count, name in (
        (len(registry.settings) + len(registry.environment), "setting"),
        (len(answers.hooks), "hook"),
    ):
        if count:
            yield f"{count} {name}{'s' if count != 1 else ''} of your own"
