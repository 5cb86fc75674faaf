"""Read names and values from settings as people keep them: for shells, containers and S3 tools.

Values keep their references to variables; a ``$`` that does not begin one is :data:`DOLLAR`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

DOLLAR = "\ue000"
"""Stands for a dollar sign that the text's reader does not expand."""

_Names = list[tuple[str, str | None]]
_DEEPEST = 40
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_PAIR = re.compile(rf"({_NAME})=(.*)", re.DOTALL)
_LINE = re.compile(r"""["']?([A-Za-z_][A-Za-z0-9_]*)["']?\s*(=|:(?=\s|$))\s*(.*)""")
_SECTION = re.compile(r"\[\s*(?:profile\s+)?([^\]\s]+)\s*\]")
_OPTION = re.compile(r"(?:-e|--env|--from-literal)=?")
# Lines of Dockerfiles and scripts that set nothing.
_OTHER = re.compile(
    r"(?:FROM|RUN|COPY|ADD|CMD|ENTRYPOINT|EXPOSE|USER|WORKDIR|VOLUME|LABEL)\s|@|(?:REM|rem|unset)\s"
)
_Loader: type[Any] = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


@dataclass(frozen=True)
class Pair:
    """A name and its value.

    Attributes:
        line: The line in the text, from 1.
        name: The name; empty if the line cannot be parsed.
        value: The value; None if the text takes it from the environment.
        section: The section of an INI file, or the key above in YAML; may be empty.
        where: Where the value is if the text does not have it.
    """

    line: int
    name: str
    value: str | None
    section: str = ""
    where: str = ""


def read_pairs(text: str) -> list[Pair]:
    """Return the names and values in a text, in order. Raises nothing."""
    text = text.removeprefix("\ufeff")
    root = _yaml(text)
    if root is not None:
        return list(_walk(root, (), set(), is_secret=_is_kubernetes_secret(root)))
    pairs: list[Pair] = []
    section = ""
    lines = text.splitlines()
    is_continued = False
    if lines and lines[0].lower().replace(" ", "") == "accesskeyid,secretaccesskey":
        return _iam_download(lines)
    for number, line in enumerate(lines, 1):
        found = _SECTION.fullmatch(line.strip())
        if found is not None:
            section = found[1]
            continue
        try:
            pairs += [Pair(number, *pair, section) for pair in _read_line(line)]
        except ValueError:
            if not is_continued:  # else it can be the image of docker run
                pairs.append(Pair(number, "", "", section))
        is_continued = line.rstrip().endswith("\\")
    return pairs


# -- lines ---------------------------------------------------------------------------------------


def _read_line(line: str) -> _Names:
    """Return a line's names and values; none if it is blank or a comment.

    Raises:
        ValueError: It cannot be parsed.
    """
    # The signs that continue a line in sh, PowerShell and cmd.
    line = re.sub(r"\s[\\`^]$|\\$", "", line.strip()).rstrip()
    if not line or line.startswith(("#", "//", ";")) or _OTHER.match(line):
        return []
    for pattern, read in _FORMS:
        found = pattern.match(line)
        if found is not None:
            return read(found)
    return _plain_line(re.sub(r"^-\s+", "", line))


def _read_mc_host(found: re.Match[str]) -> _Names:
    scheme, access, secret, host = found.groups()
    return [("regionendpoint", scheme + host), ("accesskey", access), ("secretkey", secret)]


def _read_mc_alias(found: re.Match[str]) -> _Names:
    names = ("regionendpoint", "accesskey", "secretkey")
    return list(zip(names, _words(found[1])[1:], strict=False))


def _read_name_and_value(found: re.Match[str]) -> _Names:
    return [(found[1], _unquoted(found[2]))]


# By form, each with a function that reads the line; the first match applies.
_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], _Names]], ...] = (
    (
        re.compile(r"(?:export\s+)?MC_HOST_\w+=[\"']?(https?://)([^:@/]+):([^@/]+)@([^\"'\s]+)"),
        _read_mc_host,
    ),
    (re.compile(r"mc\s+(?:alias\s+set|config\s+host\s+add)\s+(.*)"), _read_mc_alias),
    (
        re.compile(r"Environment\s*=\s*(.*)"),  # systemd
        lambda found: _pairs_of(_words(found[1], is_systemd=True)),
    ),
    (
        # Lines whose words are NAME=value: for sh, in Dockerfiles and for kubectl.
        re.compile(
            r"(?:export|declare\s+-x|typeset\s+-x|readonly|env|kubectl\s+set\s+env|"
            r"(?:ENV|ARG)(?=\s+\S+=))\s+(.*)"
        ),
        lambda found: _pairs_of(_words(found[1])),
    ),
    (
        re.compile(
            r"((?:sudo\s+)?(?:docker|podman|nerdctl|kubectl)\s.*|--?(?:e|env|from-literal)\b.*)"
        ),
        lambda found: _options_of(_words(found[1])),
    ),
    (re.compile(rf"\$env:({_NAME})\s*=\s*(.*)", re.IGNORECASE), _read_name_and_value),
    (
        # A name, blanks and the value: in Dockerfiles, cmd, csh, fish and for the AWS tools.
        re.compile(
            rf"(?:ENV|setx|setenv|set(?:\s+--?\w+)+|aws\s+configure\s+set)\s+({_NAME})"
            r"\s+(.+)",
            re.IGNORECASE,
        ),
        _read_name_and_value,
    ),
    (
        re.compile(rf'set\s+"?({_NAME})=([^"]*)"?', re.IGNORECASE),  # cmd
        lambda found: [(found[1], found[2].replace("$", DOLLAR))],
    ),
)


def _plain_line(line: str) -> _Names:
    """Read NAME=value and NAME: value, as in env files, YAML, JSON and INI files."""
    if line[:1] in {'"', "'"} and line[-1:] == line[:1] and "=" in line:
        line = line[1:-1]  # the whole pair in quotes, as compose files have it
    match = _LINE.fullmatch(line.rstrip(","))
    if match is None:
        raise ValueError
    name, sign, value = match.groups()
    if sign == "=" and re.search(rf"\s{_NAME}=", value):
        with_more = _words(line)
        if all(_PAIR.fullmatch(word) for word in with_more):
            return _pairs_of(with_more)
    return [(name, _unquoted(value))]


def _pairs_of(words: Sequence[str]) -> _Names:
    found = [_PAIR.fullmatch(word) for word in words]
    return [(each[1], each[2]) for each in found if each is not None]


def _options_of(words: Sequence[str]) -> _Names:
    """Return the pairs of -e, --env and --from-literal; without a value, it is the shell's."""
    found: _Names = []
    waiting = False
    for word in words:
        option = _OPTION.match(word)
        if option is not None and option.end() == len(word):
            waiting = True
            continue
        text = word if waiting else word[option.end() :] if option is not None else ""
        waiting = False
        pair = _PAIR.fullmatch(text)
        if pair is not None:
            found.append((pair[1], pair[2]))
        elif re.fullmatch(_NAME, text):
            found.append((text, None))
    return found


def _words(text: str, *, is_systemd: bool = False) -> list[str]:
    """Split text as sh or systemd do; a # begins a comment, and a ; ends a command.

    Raises:
        ValueError: A quote is not closed.
    """
    words: list[str] = []
    word: str | None = None
    if is_systemd:
        text = text.replace("%%", "%").replace("$", DOLLAR)
    for token in (_SYSTEMD_TOKEN if is_systemd else _SHELL_TOKEN).finditer(text):
        kind, part = token.lastgroup, token.group()
        if kind == "open":
            raise ValueError
        if kind == "text" and word is None and part.startswith("#") and not is_systemd:
            break
        if kind == "blank":
            words += [] if word is None else [word]
            word = None
        elif kind == "single":
            word = (word or "") + part[1:-1].replace("$", DOLLAR)
        elif kind == "double":
            word = (word or "") + _unescaped(part[1:-1])
        elif kind == "escaped":
            word = (word or "") + _literal(part[1:])
        else:
            word = (word or "") + part
    return words if word is None else [*words, word]


def _token(blank: str) -> re.Pattern[str]:
    return re.compile(
        rf"""(?P<single>'[^']*')|(?P<double>"(?:\\.|[^"\\])*")|(?P<escaped>\\.)"""
        rf"""|(?P<blank>[{blank}]+)|(?P<open>["'])|(?P<text>[^{blank}"'\\]+|\\)"""
    )


_SHELL_TOKEN, _SYSTEMD_TOKEN = _token(r"\s;&"), _token(r"\s")


def _unescaped(text: str) -> str:
    """Return the content of double quotes."""
    return re.sub(r'\\(["\\$`])', lambda found: _literal(found[1]), text)


def _literal(sign: str) -> str:
    return DOLLAR if sign == "$" else sign


def _unquoted(value: str) -> str:
    """Return a value without its quotes, or without the comment behind it."""
    value = value.strip()
    if value[:1] in {'"', "'"}:
        quote = value[0]
        end = value.find(quote, 1)
        while quote == '"' and end > 0 and value[end - 1] == "\\":
            end = value.find(quote, end + 1)
        if end > 0:
            inner = value[1:end]
            if quote == "'":
                return inner.replace("$", DOLLAR)
            return _unescaped(inner)
    return re.split(r"\s#", value, maxsplit=1)[0].rstrip().removesuffix(";").rstrip()


def _iam_download(lines: Sequence[str]) -> list[Pair]:
    """Read the file that the IAM console offers for a new access key."""
    values = (lines[1] if len(lines) > 1 else "").split(",")
    return [
        Pair(2, name, value)
        for name, value in zip(("accesskey", "secretkey"), values, strict=False)
    ]


# -- YAML and JSON -------------------------------------------------------------------------------


def _yaml(text: str) -> Node | None:
    """Return a text's YAML node if it is a mapping or a list."""
    loader = None
    try:
        loader = _Loader(text.replace("\t", "  "))
        root = loader.get_single_node()
    except (yaml.YAMLError, RecursionError, ValueError):
        return None
    finally:
        if loader is not None:
            loader.dispose()
    return root if isinstance(root, (MappingNode, SequenceNode)) else None


def _is_kubernetes_secret(root: Node) -> bool:
    if not isinstance(root, MappingNode):
        return False
    kinds = [value.value for key, value in root.value if key.value == "kind"]
    return kinds == ["Secret"]


def _walk(node: Node, above: tuple[str, ...], seen: set[int], *, is_secret: bool) -> Iterator[Pair]:
    """Yield the pairs below a node: of mappings, NAME=value lists and lists of name and value."""
    if len(above) > _DEEPEST or id(node) in seen:
        return  # what an alias repeats is known
    seen.add(id(node))
    line = node.start_mark.line + 1
    section = above[-1] if above else ""
    if isinstance(node, ScalarNode):
        found = _PAIR.fullmatch(node.value)
        if found is not None:
            yield Pair(line, found[1], _expanded(found[1], found[2]), section)
        elif re.fullmatch(_NAME, node.value) and section.lower() in {"environment", "env"}:
            yield Pair(line, node.value, None, section)
    elif isinstance(node, SequenceNode):
        for each in node.value:
            yield from _walk(each, (*above, section), seen, is_secret=is_secret)
    else:
        yield from _walk_mapping(node, above, seen, is_secret=is_secret)


def _walk_mapping(
    node: Node, above: tuple[str, ...], seen: set[int], *, is_secret: bool
) -> Iterator[Pair]:
    items = {key.value: value for key, value in node.value if isinstance(key, ScalarNode)}
    section = above[-1] if above else ""
    named = items.get("name")
    source = items.get("valueFrom")
    if isinstance(named, ScalarNode) and isinstance(items.get("value"), ScalarNode):
        value = _expanded(named.value, items["value"].value)
        yield Pair(named.start_mark.line + 1, named.value, value, section)
        return
    if isinstance(named, ScalarNode) and source is not None:
        line = named.start_mark.line + 1
        yield Pair(line, named.value, None, section, _kubernetes_source(source))
        return
    for name, value in items.items():
        line = value.start_mark.line + 1
        if not isinstance(value, ScalarNode):
            yield from _walk(value, (*above, name), seen, is_secret=is_secret)
        elif value.value == "" and value.style is None:
            yield Pair(line, name, None if name.isupper() else "", section)
        elif is_secret and section == "data":
            yield Pair(line, name, _decoded(value.value), section)
        else:
            yield Pair(line, name, _expanded(name, value.value), section)


def _expanded(name: str, value: str) -> str:
    """Return a value with the doubled dollars of compose files; other YAML has plain dollars."""
    return value.replace("$$", DOLLAR) if name.isupper() else value.replace("$", DOLLAR)


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode().replace("$", DOLLAR)
    except (binascii.Error, ValueError):
        return ""


def _kubernetes_source(node: Node) -> str:
    """Return the command that prints the value of a ``valueFrom``; empty if there is none."""
    for _, reference in node.value if isinstance(node, MappingNode) else ():
        items = {key.value: value.value for key, value in getattr(reference, "value", ())}
        name, key = items.get("name"), items.get("key")
        if all(isinstance(each, str) and re.fullmatch(r"[\w.-]+", each) for each in (name, key)):
            escaped = str(key).replace(".", r"\.")
            return f"kubectl get secret {name} -o jsonpath='{{.data.{escaped}}}' | base64 -d"
    return ""
