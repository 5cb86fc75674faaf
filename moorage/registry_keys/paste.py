"""Fill in the S3 storage from settings as people keep them, in any common format."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any, NamedTuple, cast, get_args

from moorage.answers.model import S3Storage
from moorage.answers.secrets import FromEnvironment, Secret, Typed
from moorage.errors import Problem
from moorage.registry_keys.environment import Ambiguous, find
from moorage.registry_keys.pasted_lines import DOLLAR, Pair, read_pairs

_S3 = "REGISTRY_STORAGE_S3_"
_SECRETS = {"accesskey", "secretkey"}
_FIELDS = {name: field for name, field in S3Storage.model_fields.items() if name != "redirect"}
# Names of AWS, its command line, MinIO, rclone (endpoint) and s3cmd (host_base), in lower case.
_NAMES = {
    **dict.fromkeys(
        ("aws_access_key_id", "access_key_id", "accesskeyid", "access_key", "s3_access_key",
         "s3_access_key_id", "minio_access_key"), "accesskey",
    ),
    **dict.fromkeys(
        ("aws_secret_access_key", "secret_access_key", "secretaccesskey", "secret_key",
         "s3_secret_key", "s3_secret_access_key", "minio_secret_key"), "secretkey",
    ),
    **dict.fromkeys(("aws_region", "aws_default_region", "s3_region", "bucket_location"), "region"),
    **dict.fromkeys(
        ("aws_endpoint_url", "aws_endpoint_url_s3", "endpoint_url", "endpoint", "host_base",
         "s3_endpoint", "s3_endpoint_url"), "regionendpoint",
    ),
    **dict.fromkeys(("s3_bucket", "s3_bucket_name", "aws_s3_bucket"), "bucket"),
    "use_https": "secure", "addressing_style": "forcepathstyle", "force_path_style":
    "forcepathstyle", "storage_class": "storageclass",
}  # fmt: skip
_TEMPORARY = {"aws_session_token", "session_token", "sessiontoken", "access_token"}
_STRUCTURE = {"REGISTRY_STORAGE", "STORAGE", "S3", "ENVIRONMENT"}
_VARIABLE = re.compile(
    r"\$(?:(?P<plain>\w+)|\{(?P<braced>\w+)(?:(?P<operator>:?[-=?+])(?P<default>.*))?\}"
    r"|\((?P<kubernetes>\w+)\)|env:(?P<powershell>\w+))|%(?P<cmd>\w+)%",
    re.DOTALL,
)
_USES_VARIABLE = re.compile(r"\$[A-Za-z_{(]")
# A secret in the wrong place looks different.
_PLAIN_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,50}")
_PREFIXES = ("aws_", "s3_", "minio_")
_TRUTHS = {
    **dict.fromkeys(("true", "yes", "on", "1", "path"), True),
    **dict.fromkeys(("false", "no", "off", "0", "virtual"), False),
}
_MOST_NAMES = 5


class Pasted(NamedTuple):
    """The settings in a pasted text.

    Attributes:
        fields: Values for the fields of ``S3Storage``.
        problems: What cannot be used, each with its line in the text, never with a value.
        notes: What was read differently than it is written, and what was skipped; likewise.
    """

    fields: dict[str, Any]
    problems: list[Problem]
    notes: list[Problem]


def paste_s3_environment(text: str) -> Pasted:
    """Return the S3 storage fields in a pasted text, and the problems in it.

    Supports lines for shells, env files, compose files, ``docker run``, systemd units, Kubernetes,
    Dockerfiles and Windows, the registry's own configuration, and the files of the AWS tools,
    rclone, s3cmd and ``mc``. A secret becomes a :class:`~moorage.answers.secrets.Typed`, or a
    reference if the text names an environment variable.

    Args:
        text: What was pasted.
    """
    pasted = _Reader()
    for pair in _of_one_profile(read_pairs(text), pasted):
        pasted.take(pair)
    pasted.complete()
    return Pasted(pasted.fields, pasted.problems, pasted.notes)


def paste_variables(text: str) -> tuple[dict[str, str], str]:
    """Return the variables in lines of ``NAME=value``, and what is wrong with the first bad line.

    Supports the same forms as :func:`paste_s3_environment`.

    Args:
        text: What was typed or pasted.
    """
    variables: dict[str, str] = {}
    for pair in read_pairs(text):
        if not pair.name or pair.value is None:
            return {}, f"line {pair.line}: expected NAME=value, such as REGISTRY_LOG_LEVEL=debug"
        if pair.name in variables:
            return {}, f"line {pair.line}: sets {pair.name} a second time"
        if _USES_VARIABLE.search(pair.value):
            advice = f"Write {pair.name}: {{env: VARIABLE}}"
            return {}, f"line {pair.line}: variables are not expanded. {advice}"
        variables[pair.name] = pair.value.replace(DOLLAR, "$")
    return variables, ""


def _of_one_profile(pairs: list[Pair], pasted: _Reader) -> list[Pair]:
    """Return the pairs of the default profile if an INI file has several with credentials."""
    profiles = list(
        dict.fromkeys(pair.section for pair in pairs if pair.section and _field_of(pair.name))
    )
    secrets = {pair.section for pair in pairs if _field_of(pair.name) == "secretkey"}
    if len(secrets) < 2:
        return pairs
    chosen = (
        "default" if "default" in secrets else next(each for each in profiles if each in secrets)
    )
    first = next(pair.line for pair in pairs if pair.section == chosen)
    message = f"read the profile {chosen} only; to use another one, paste its lines alone"
    pasted.notes.append(Problem(("storage", "s3"), message, line=first))
    return [pair for pair in pairs if pair.section == chosen]


class _Reader:
    """Takes one pair after the other; as in shells, a later one replaces an earlier one."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self.problems: list[Problem] = []
        self.notes: list[Problem] = []
        self._skipped: dict[str, None] = {}

    def take(self, pair: Pair) -> None:
        field = _field_of(pair.name)
        message = "" if field else _unknown(pair)
        if not field and not message:
            if _is_setting(pair):
                self._skipped.setdefault(pair.name)
            return
        if field:
            if pair.value == "" and pair.section and not pair.name.isupper():
                return  # an INI file's or configuration's default
            value, message, note = _convert(field, pair)
            if note:
                self.notes.append(Problem(("storage", "s3", field), note, line=pair.line))
            if value is not None:
                self.fields[field] = value
        if message:
            path = ("storage", "s3", field) if field else ("storage", "s3")
            self.problems.append(Problem(path, message, line=pair.line))

    def complete(self) -> None:
        """Add the scheme to an endpoint without one, and list what was skipped."""
        endpoint = self.fields.get("regionendpoint")
        if isinstance(endpoint, str) and "://" not in endpoint:
            if endpoint == "s3.amazonaws.com":
                del self.fields["regionendpoint"]
            else:
                scheme = "http" if self.fields.get("secure") is False else "https"
                self.fields["regionendpoint"] = f"{scheme}://{endpoint}"
        if self._skipped:
            names = list(self._skipped)
            more = len(names) - _MOST_NAMES
            listed = ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
            message = f"skipped what is not about S3: {listed}"
            self.notes.append(Problem(("storage", "s3"), message))


def _field_of(name: str) -> str:
    lower = name.lower()
    stripped = lower.removeprefix(_S3.lower())
    return stripped if stripped in _FIELDS else _NAMES.get(lower, "")


def _is_setting(pair: Pair) -> bool:
    """Return whether a name is a setting rather than a part of the text's structure."""
    return pair.name not in _STRUCTURE and bool(_PLAIN_NAME.fullmatch(pair.name))


def _unknown(pair: Pair) -> str:
    """Return why a name cannot be used; empty if it is not about S3."""
    name, upper = pair.name, pair.name.upper()
    if not name:
        return "cannot be parsed; expected NAME=value"
    if name.lower() in _TEMPORARY:
        advice = (
            f"{name} belongs to temporary credentials, which the registry cannot use; create an "
            "access key that stays valid"
        )
        return advice if pair.value else ""
    if upper.startswith("REGISTRY_") or pair.section == "s3":
        return _not_s3(pair)
    known = [each for each in _NAMES if each.startswith(_PREFIXES)]
    near = _nearest(name.lower(), known) if name.lower().startswith(_PREFIXES) else ""
    return f"unknown setting {name}; did you mean {near.upper()}?" if near else ""


def _not_s3(pair: Pair) -> str:
    """Return why a setting of the registry cannot be used here."""
    name, upper = pair.name, pair.name.upper()
    if upper == "REGISTRY_STORAGE":
        is_s3 = (pair.value or "").lower() in {"", "s3"}
        return "" if is_s3 else "REGISTRY_STORAGE selects a driver other than s3"
    if upper.startswith(_S3) or pair.section == "s3":
        near = _nearest(upper.removeprefix(_S3).lower(), _FIELDS)
        if near:
            full = _S3 + near.upper() if upper.startswith(_S3) else near
            return f"unknown setting {name}; did you mean {full}?"
        return f"{name} is not a setting of the registry's S3 storage"
    try:
        find(upper)
    except (KeyError, Ambiguous):
        return f"{name} is not an S3 setting"
    return f"{name} is not an S3 setting: it belongs to the registry's environment"


def _nearest(word: str, known: Iterable[str]) -> str:
    """Return the known name that a word is a misspelling of, or empty."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.8)), "")


def _convert(field: str, pair: Pair) -> tuple[Any, str, str]:
    """Return a field's value or None, why it is invalid, and a note on how it was read."""
    if pair.value is None:
        return _from_elsewhere(field, pair)
    if not pair.value:
        return None, "is empty", ""
    variable = _VARIABLE.fullmatch(pair.value)
    if variable is not None:
        return _from_variable(field, variable)
    if _USES_VARIABLE.search(pair.value):
        what = "the secret itself, or one variable" if field in _SECRETS else "the value itself"
        return None, f"contains a variable within other text; use {what}", ""
    return *_typed(field, pair.value.replace(DOLLAR, "$")), ""


def _from_elsewhere(field: str, pair: Pair) -> tuple[Any, str, str]:
    """Convert a name without a value: of the shell's environment, or a Kubernetes secret."""
    if pair.where:
        return None, f"is in a Kubernetes secret; this prints it: {pair.where}", ""
    if field in _SECRETS:
        return FromEnvironment(pair.name), "", f"is read from the variable {pair.name}"
    return None, "has no value here; expected NAME=value", ""


def _from_variable(field: str, variable: re.Match[str]) -> tuple[Any, str, str]:
    parts = variable.groupdict()
    name = next(parts[kind] for kind in ("plain", "braced", "kubernetes", "powershell", "cmd")
                if parts[kind])  # fmt: skip
    operator, default = parts["operator"] or "", parts["default"] or ""
    has_default = operator[-1:] in {"-", "="} and bool(default)
    if field not in _SECRETS:
        if not has_default or "$" in default:
            return None, "is a variable's name; expected its value", ""
        return *_typed(field, default), f"is the default of the variable {name}"
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) or operator.endswith("+"):
        return None, "cannot be read from this variable; use the secret itself", ""
    note = (
        f"is read from the variable {name}; its default in the text is not used, so set the "
        "variable or enter the secret"
        if has_default
        else ""
    )
    return FromEnvironment(name), "", note


def _typed(field: str, value: str) -> tuple[Any, str]:
    """Return a field's value, or None and why it is invalid."""
    if field in _SECRETS:
        return Typed(Secret(value)), ""
    kind = _kind(_FIELDS[field].annotation)
    if kind is bool:
        truth = _TRUTHS.get(value.lower())
        if value.lower() == "auto":
            return None, ""
        return truth, "" if truth is not None else "must be true or false"
    if kind is int:
        number = int(value) if re.fullmatch("[0-9]{1,18}", value) else None
        return number, "" if number is not None else "must be a whole number"
    return value, ""


def _kind(annotation: Any) -> type:
    """Return a field's type: bool, int or str."""
    if annotation in (bool, int, str):
        return cast(type, annotation)
    kinds = [_kind(inner) for inner in get_args(annotation)]
    return next((kind for kind in (bool, int) if kind in kinds), str)
