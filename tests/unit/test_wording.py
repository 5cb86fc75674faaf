"""The texts of the product use plain words; CONTRIBUTING.md, "How text reads here", says which.

``python tests/unit/test_wording.py [PATH ...]`` lists what is left to rewrite, in folders that are
not checked yet as well, and counts it by file.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from moorage.cli.errors import FIRST_WORDS

ROOT = Path(__file__).parents[2]

# Files and folders whose texts must be plain. Add a folder once its texts are rewritten.
CHECKED: tuple[str, ...] = (
    *("docs", "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"),
    *("moorage", "screens", "tui", "templates", "lab", "bench", "tools", "tests/support"),
)

# Files and folders with texts that users read.
WRITTEN = (
    *("docs", "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"),
    *("moorage", "screens", "tui", "templates"),
)


@dataclass(frozen=True)
class Habit:
    """A way of writing that readers stumble over.

    Attributes:
        pattern: What it looks like. Case counts.
        instead: What to write.
        reason: Why.
    """

    pattern: str
    instead: str
    reason: str


HABITS = (
    Habit(
        r"\b[Ww]anted\b",
        '"expected X", "must be X"',
        'other programs say "expected"; "wanted" names nobody who wants it',
    ),
    Habit(
        # "There is no X" and "is no longer" are idiomatic.
        r"(?<![Tt]here )\b(is|are) no (?!longer\b|more than\b|later than\b|different\b)"
        r"|(?<!mode )\b(is|are) none\b",
        '"is not a X", "invalid X"',
        "English negates the verb here, not the noun",
    ),
    Habit(
        r"\b([Ll]eads?|[Ll]ed|[Ll]eading) (\w+ ){0,3}(to|into|back|elsewhere|where)\b",
        '"resolves to", "points to"; of keys and screens: "opens", "goes to"',
        "names resolve, records point, keys open",
    ),
    Habit(
        r"\b([Ss]tands?|[Ss]tood|[Ss]tanding)\b(?! for\b)",
        '"is", or nothing',
        "text and values do not stand anywhere",
    ),
    Habit(
        r"\b(there|here) already\b",
        '"already exists"',
        "this is what every other tool says",
    ),
    Habit(
        r"\b(go|goes|going|gone|went) on\b",
        '"continue", "keep running"; as an order: "Continue"',
        'things that "go on" sound like lights',
    ),
    Habit(
        r"\bin step\b(?! \d)|(\b(is|are|was|were|be)|^|,) \*?behind(?=[:;,.)*]|$)",
        '"up to date", "outdated"',
        "the usual words for a server that has or lacks a change",
    ),
    Habit(
        r"\b(in|into) line\b(?! \d|:| \{)",
        '"updated", "matches"',
        '"in line" is about queues',
    ),
    Habit(r"\bin (the )?clear\b", '"in plain text"', "the term of the field"),
    Habit(
        r"\b[Mm](end|ends|ended|ending)\b", '"fix", "fixed"', "nets are mended; servers are fixed"
    ),
    Habit(
        r"\b([Ss]ome|[Aa]ny|[Nn]o|[Ee]very)(body|one)\b|\b[Ww]ho(m)?ever\b|\bwho counts\b",
        "the role: user, operator, client, account; or a passive for an unknown actor",
        "says who may be meant: a user of the registry, the operator, a program",
    ),
    Habit(
        r"\b[Mm](ake|akes|ade|aking)\b(?! sure)( [\w'{}-]+){0,4} "
        r"(passwords?|keys?|records?|certificates?|CA|tokens?|authority)\b"
        r"|\b(passwords?|keys?|records?|certificates?|tokens?)\b( [\w'-]+){0,3} made\b",
        '"create", "generate", "issue"',
        "keys and passwords are generated, records created, certificates issued",
    ),
    Habit(
        # Of what is possible, "may" is idiomatic: these verbs say that it is.
        r"\bmay\b(?! (also |still |not |already |only |well )?(be|have|need|take|fail|differ|block|"
        r"undo|help|contain|miss|show|cost|happen|exist|change|refuse|lack|mean|hold|lose|exceed|appear|break)\b)",
        '"can", "is allowed to"',
        '"may" for what a user or program is allowed to do reads as a doubt',
    ),
    Habit(
        r"\b(is|are|was|were|be|been|being) (told|said|shown nowhere)\b",
        "who says it: Moorage reports X, status lists X",
        "hides who does what",
    ),
    Habit(
        r"\bany more\b(?! (than|of|\w+s)\b)",
        '"no longer", at the verb',
        "the negation comes too late to be noticed",
    ),
    Habit(
        r"\b(of|from) (yours|theirs|ours|his|hers)\b",
        '"your X", "their X"',
        "a possessive is shorter",
    ),
    Habit(
        r"\b[Ww]ay (out|in)\b|\bways in\b",
        '"internet access", "login", "access"',
        "a picture where the field has a word",
    ),
)

# What begins a docstring's first line. "Return X" and "The X" say what the reader looks for.
DOCSTRING_HABIT = Habit(
    r"\A(What|Who|Whom|Whoever|How|Where|When|Which)\b",
    "an imperative (Return ...) or a noun (The ...)",
    "half a sentence that begins with its object",
)


@dataclass(frozen=True)
class Allowed:
    """A use of a habit's words that is right where it is.

    Attributes:
        path: The file or folder that has it.
        text: What the text contains.
        reason: Why it is right.
    """

    path: str
    text: str
    reason: str


ALLOWED: tuple[Allowed, ...] = (
    Allowed("moorage/servers/sudo.py", "may not run sudo", "what sudo itself prints"),
    Allowed(
        "templates/nginx/auth.js", '"nobody"', "the name of a server in the nginx configuration"
    ),
)


@dataclass(frozen=True)
class Text:
    """A piece of text that somebody reads.

    Attributes:
        path: Its file, below the project's folder.
        line: The line it begins at.
        words: The text; values that are put into it are written as ``{}``.
    """

    path: str
    line: int
    words: str


def test_texts_have_none_of_the_habits() -> None:
    found = [line for text in _texts(CHECKED) for line in _findings(text)]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    "habit",
    [
        "wanted: a name",
        "'x' is no server",
        "the name leads to web1",
        "The name stands in the file",
        "it is there already",
        "the run goes on",
        "web1 is in step",
        "web2 is behind: it missed a change",
        "the file is brought in line",
        "passwords in clear",
        "once that is mended",
        "Somebody changed it",
        "Moorage makes the DNS records",
        "a password was made",
        "a user may push",
        "nobody is told",
        "is not staged any more",
        "scripts of yours",
        "servers with no way out",
    ],
)
def test_each_habit_is_noticed(habit: str) -> None:
    assert list(_findings(Text("x", 1, habit)))


@pytest.mark.parametrize(
    "plain",
    [
        "there is no room on the disk",
        "it is no longer served",
        "what this step understands",
        "wrong in line 12",
        "wrong in line {}",
        "at step in step 3 of 7",
        "behind a load balancer",
        "make sure that the key is right",
        "this may take a minute",
        "no more than 10 records",
    ],
)
def test_plain_words_are_not_noticed(plain: str) -> None:
    assert not list(_findings(Text("x", 1, plain)))


def test_checked_and_allowed_name_what_exists() -> None:
    for path in [*CHECKED, *WRITTEN, *(each.path for each in ALLOWED)]:
        assert (ROOT / path).exists(), path
    for allowed in ALLOWED:
        assert any(allowed.text in text.words for text in _texts((allowed.path,))), allowed


def _findings(text: Text) -> Iterator[str]:
    """Say what is wrong with a text, a line for each habit it has."""
    for habit in HABITS:
        for match in re.finditer(habit.pattern, text.words):
            if not _is_allowed(text, match):
                around = text.words[max(0, match.start() - 40) : match.end() + 40]
                place = f"{text.path}:{text.line}"
                yield f"{place}: ...{around!r}... -> {habit.instead} ({habit.reason})"


def _is_allowed(text: Text, match: re.Match[str]) -> bool:
    for allowed in ALLOWED:
        if Path(text.path).is_relative_to(allowed.path):
            start = text.words.find(allowed.text)
            while start >= 0:
                if start <= match.start() and match.end() <= start + len(allowed.text):
                    return True
                start = text.words.find(allowed.text, start + 1)
    return False


def _texts(paths: tuple[str, ...]) -> Iterator[Text]:
    """Find the texts in files and in all files of folders."""
    for path in paths:
        files = sorted((ROOT / path).rglob("*")) if (ROOT / path).is_dir() else [ROOT / path]
        for file in files:
            reader = _READERS.get(file.suffix)
            if reader and file.is_file():
                name = str(file.relative_to(ROOT))
                yield from reader(name, file.read_text(encoding="utf-8"))


def _of_python(path: str, source: str) -> Iterator[Text]:
    """Find the strings of a module that can be sentences: those with a space in them.

    Docstrings are for developers, with two exceptions: those of commands are their help, those in
    the answers' model are the descriptions of its fields.
    """
    tree = ast.parse(source)
    hidden = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            hidden.add(node.value)
        if isinstance(node, ast.JoinedStr):
            hidden |= {each for each in ast.walk(node) if isinstance(each, ast.Constant)}
    for shown in _shown_docstrings(path, tree):
        hidden.discard(shown)
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [p.value if isinstance(p, ast.Constant) else "{}" for p in node.values]
            yield from _sentence(path, node.lineno, "".join(map(str, parts)))
        elif isinstance(node, ast.Constant) and node not in hidden and isinstance(node.value, str):
            yield from _sentence(path, node.lineno, node.value)


def _sentence(path: str, line: int, words: str) -> Iterator[Text]:
    if " " in words.strip():
        yield Text(path, line, " ".join(words.split()))


def _shown_docstrings(path: str, tree: ast.Module) -> Iterator[ast.Constant]:
    for node in ast.walk(tree):
        is_command = isinstance(node, ast.FunctionDef) and any(
            "command" in ast.unparse(each) or "group" in ast.unparse(each)
            for each in node.decorator_list
        )
        is_section = isinstance(node, ast.ClassDef) and "AnswersModel" in map(
            ast.unparse, node.bases
        )
        if is_command or is_section:
            assert isinstance(node, ast.FunctionDef | ast.ClassDef)
            for each in node.body:
                if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant):
                    yield each.value


def _of_shell(path: str, source: str) -> Iterator[Text]:
    """Find what a script can print: its quoted strings. Comments are for developers."""
    for number, line in enumerate(source.splitlines(), 1):
        if not line.lstrip().startswith("#"):
            for match in re.finditer(r'"([^"]*)"|\'([^\']*)\'', line):
                yield from _sentence(path, number, match[1] or match[2] or "")


def _of_template(path: str, source: str) -> Iterator[Text]:
    """Find the comments of a file that lands on servers: administrators read them there."""
    without = re.sub(r"\{#.*?#\}", lambda match: "\n" * match[0].count("\n"), source, flags=re.S)
    comment: list[str] = []
    for number, line in enumerate([*without.splitlines(), ""], 1):
        match = re.match(r"\s*(#|//|;)(?!!)\s?(.*)", line)
        if match:
            comment.append(match[2])
        elif comment:
            yield from _sentence(path, number - len(comment), " ".join(comment))
            comment = []
    if path.endswith(".sh.j2"):
        yield from _of_shell(path, without)


def _of_page(path: str, source: str) -> Iterator[Text]:
    """Find the paragraphs of a page, without code, commands and what a program has written."""
    source = source.partition("<!-- The rest is written by:")[0]
    source = re.sub(r"```.*?```", lambda match: "\n" * match[0].count("\n"), source, flags=re.S)
    number = 1
    for paragraph in re.split(r"(\n(?=[-|\n]))", source):
        yield from _sentence(path, number, re.sub(r"`[^`]*`", "`...`", paragraph))
        number += paragraph.count("\n")


def _of_example(path: str, source: str) -> Iterator[Text]:
    """Find the comments of an answers file."""
    for number, line in enumerate(source.splitlines(), 1):
        match = re.search(r"(?:^|\s)#\s(.*)", line)
        if match:
            yield from _sentence(path, number, match[1])


_READERS: dict[str, Callable[[str, str], Iterator[Text]]] = {
    ".py": _of_python,
    ".sh": _of_shell,
    ".j2": _of_template,
    ".js": _of_template,
    ".md": _of_page,
    ".yml": _of_example,
}


def _docstrings(paths: tuple[str, ...]) -> Iterator[Text]:
    """Find the first lines of all docstrings in folders."""
    for path in paths:
        for file in sorted((ROOT / path).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                    words = (ast.get_docstring(node) or "").partition("\n")[0]
                    line = getattr(node, "lineno", 1)
                    yield Text(str(file.relative_to(ROOT)), line, words)


def test_docstrings_begin_with_a_verb_or_a_noun() -> None:
    found = [
        f"{text.path}:{text.line}: {text.words!r} -> {DOCSTRING_HABIT.instead}"
        for text in _docstrings(CHECKED)
        if re.match(DOCSTRING_HABIT.pattern, text.words)
    ]
    assert not found, "\n" + "\n".join(found)


_ERRORS = re.compile(
    r"(Moorage|Dns|Answers|WrongUser|WrongUsage)Error|SecretUnavailable|CannotConnect"
)


def test_messages_without_a_server_can_begin_with_a_capital_letter() -> None:
    found = []
    for path in sorted((ROOT / "moorage").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and _ERRORS.fullmatch(_name(node.func)):
                first = node.args[0]
                part = first.values[0] if isinstance(first, ast.JoinedStr) else first
                text = part.value if isinstance(part, ast.Constant) else ""
                word = str(text).partition(" ")[0]
                has_server = any(each.arg == "server" for each in node.keywords)
                if word[:1].islower() and not has_server and word not in FIRST_WORDS:
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {text!r}")
    assert not found, "\n" + "\n".join(found)


def _name(function: ast.expr) -> str:
    return ast.unparse(function).rpartition(".")[2]


def _list(paths: tuple[str, ...]) -> None:
    """Print what there is to rewrite, and how much of it in each file."""
    count: Counter[str] = Counter()
    for text in _texts(paths):
        for finding in _findings(text):
            print(finding)
            count[text.path] += 1
    for text in _docstrings(paths):
        if re.match(DOCSTRING_HABIT.pattern, text.words):
            print(f"{text.path}:{text.line}: {text.words!r} -> {DOCSTRING_HABIT.instead}")
            count[text.path] += 1
    for path, findings in count.most_common():
        print(f"{findings:5} {path}")
    print(f"{count.total():5} altogether")


if __name__ == "__main__":
    _list(tuple(sys.argv[1:]) or WRITTEN)
