"""The sample settings to paste, and what they mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from moorage.answers.secrets import FromEnvironment, Typed

FOLDER = Path(__file__).parents[1] / "samples" / "pasted"

FIELDS: dict[str, dict[str, Any]] = {
    "assignments_on_a_line.sh": {
        "bucket": "images",
        "region": "eu-central-1",
        "secretkey": "bell 7",
    },
    "aws_access_key.json": {"accesskey": "AKIAHARBOUR7", "secretkey": "bell/7+harbour="},
    "aws_config.aws": {
        "region": "eu-central-1",
        "regionendpoint": "https://minio.example.com:9000",
        "forcepathstyle": True,
    },
    "aws_configure.sh": {"accesskey": "AKIAHARBOUR7", "secretkey": "bell/7+harbour="},
    "aws_credentials.aws": {"accesskey": "AKIAHARBOUR7", "secretkey": "bell/7+harbour="},
    "aws_session.aws": {"accesskey": "ASIAHARBOUR7", "secretkey": "bell"},
    "aws_two_profiles.aws": {"accesskey": "AKIAHARBOUR7", "secretkey": "bell/7+harbour="},
    "cmd.cmd": {
        "bucket": "images",
        "secretkey": "bell/7+harbour=",
        "accesskey": "$MINIO_USER",
        "region": "eu-central-1",
    },
    "compose_anchor.compose.yml": {
        "bucket": "images",
        "region": "eu-central-1",
        "secretkey": "bell",
    },
    "compose_from_shell.compose.yml": {"secretkey": "$AWS_SECRET_ACCESS_KEY", "bucket": "images"},
    "compose_list.compose.yml": {
        "bucket": "images",
        "region": "eu-central-1",
        "secretkey": "har$bour",
        "secure": True,
    },
    "compose_list_alone.compose.yml": {"bucket": "images", "secretkey": "bell/7+harbour="},
    "compose_map.compose.yml": {
        "bucket": "images",
        "region": "eu-central-1",
        "secretkey": "har$bour #7",
        "chunksize": 10485760,
        "secure": False,
    },
    "compose_variables.compose.yml": {
        "bucket": "images",
        "secretkey": "$MINIO_PW",
        "accesskey": "$MINIO_USER",
    },
    "csh.csh": {"bucket": "images", "region": "eu-central-1"},
    "declare.sh": {"bucket": "images", "secretkey": "har$bour"},
    "docker_run.sh": {
        "bucket": "images",
        "region": "eu-central-1",
        "accesskey": "AKIAHARBOUR7",
        "secretkey": "har$bour 7",
        "rootdirectory": "/team a",
    },
    "docker_run_from_shell.sh": {
        "bucket": "images",
        "accesskey": "$AWS_ACCESS_KEY_ID",
        "secretkey": "$AWS_SECRET_ACCESS_KEY",
    },
    "docker_run_one_line.sh": {
        "bucket": "images",
        "region": "eu-central-1",
        "secretkey": "$MINIO_PW",
    },
    "dockerfile.dockerfile": {
        "bucket": "images",
        "region": "eu-central-1",
        "secretkey": "har$bour 7",
        "accesskey": "AKIAHARBOUR7",
    },
    "dockerfile_old_form.dockerfile": {"bucket": "images", "region": "eu-central-1"},
    "env_bom_crlf.env": {
        "bucket": "images",
        "region": "eu-central-1",
        "secretkey": "bell/7+harbour=",
    },
    "env_default.env": {"bucket": "images", "region": "eu-central-1", "secretkey": "$MINIO_PW"},
    "env_empty_value.env": {"region": "eu-central-1"},
    "env_file.env": {
        "bucket": "images",
        "region": "eu-central-1",
        "accesskey": "AKIAHARBOUR7",
        "secretkey": "bell/7+harbour=",
    },
    "env_lone_secret.env": {},
    "env_other_driver.env": {},
    "env_partial_variable.env": {},
    "env_quoted.env": {
        "bucket": "images",
        "region": "eu-central-1",
        "secretkey": "har$bour 7",
        "chunksize": 10485760,
        "secure": True,
    },
    "env_registry_settings.env": {"bucket": "images"},
    "env_required.env": {"secretkey": "$MINIO_PW", "accesskey": "$MINIO_USER"},
    "env_temporary.env": {"accesskey": "ASIAHARBOUR7", "secretkey": "bell"},
    "env_typo.env": {},
    "env_whole_application.env": {
        "bucket": "images",
        "region": "eu-central-1",
        "accesskey": "AKIAHARBOUR7",
        "secretkey": "bell/7+harbour=",
        "regionendpoint": "https://minio.example.com:9000",
    },
    "export.sh": {
        "bucket": "images",
        "region": "eu-central-1",
        "secretkey": 'har$bour "7"',
        "accesskey": "AKIAHARBOUR7",
    },
    "export_default.sh": {"secretkey": "$MINIO_PW", "region": "eu-central-1"},
    "export_escapes.sh": {"bucket": "images", "secretkey": "har$bour 7", "accesskey": 'AKIA"7$'},
    "export_from_variable.sh": {
        "secretkey": "$MINIO_PW",
        "accesskey": "$MINIO_USER",
        "bucket": "images",
    },
    "fish.fish": {"bucket": "images", "secretkey": "bell 7"},
    "iam_download.csv": {"accesskey": "AKIAHARBOUR7", "secretkey": "bell/7+harbour="},
    "kubectl_secret.sh": {"accesskey": "AKIAHARBOUR7", "secretkey": "har$bour"},
    "kubernetes_deployment.yml": {"bucket": "images", "region": "eu-central-1"},
    "kubernetes_env.yml": {"bucket": "images", "chunksize": 10485760},
    "kubernetes_secret.yml": {"accesskey": "AKIAHARBOUR7", "secretkey": "bell/7+harbour="},
    "later_line_wins.sh": {"bucket": "images"},
    "mc_alias.sh": {
        "regionendpoint": "https://minio.example.com:9000",
        "accesskey": "AKIAHARBOUR7",
        "secretkey": "har$bour",
    },
    "mc_host.sh": {
        "regionendpoint": "https://minio.example.com:9000",
        "accesskey": "AKIAHARBOUR7",
        "secretkey": "bell",
    },
    "open_quote.sh": {"bucket": "images"},
    "powershell.ps1": {
        "bucket": "images",
        "secretkey": "har$bour",
        "region": "eu-central-1",
        "accesskey": "$MINIO_USER",
    },
    "rclone.conf": {
        "accesskey": "AKIAHARBOUR7",
        "secretkey": "bell/7+harbour=",
        "region": "eu-central-1",
        "regionendpoint": "https://minio.example.com:9000",
    },
    "registry_config.yml": {
        "accesskey": "AKIAHARBOUR7",
        "secretkey": "har$$bour",
        "region": "eu-central-1",
        "bucket": "images",
        "v4auth": True,
    },
    "s3cmd.s3cfg": {
        "accesskey": "AKIAHARBOUR7",
        "region": "eu-central-1",
        "regionendpoint": "http://minio.example.com:9000",
        "secretkey": "bell/7+harbour=",
        "secure": False,
    },
    "systemd.systemd": {
        "bucket": "images",
        "region": "eu-central-1",
        "secretkey": "har$bour 7",
        "accesskey": 'AKIA"7',
        "rootdirectory": "/team%20a",
    },
    "systemd_continued.systemd": {"bucket": "images", "region": "eu-central-1"},
    "systemd_quoted.systemd": {"bucket": "images", "secretkey": 'a"b\\c', "secure": False},
    "task_definition.json": {"bucket": "images", "region": "eu-central-1"},
}
"""By sample: the fields it fills in. $NAME is a secret that is read from a variable."""

MESSAGES: dict[str, dict[int, str]] = {
    "aws_session.aws": {
        4: "aws_session_token belongs to temporary credentials, which the "
        "registry cannot use; create an access key that stays valid"
    },
    "aws_two_profiles.aws": {
        6: "read the profile default only; to use another one, paste its lines alone"
    },
    "compose_from_shell.compose.yml": {2: "is read from the variable AWS_SECRET_ACCESS_KEY"},
    "compose_variables.compose.yml": {
        2: "is the default of the variable BUCKET",
        3: "is read from the variable MINIO_PW; its default in the "
        "text is not used, so set the variable or enter the "
        "secret",
    },
    "docker_run_from_shell.sh": {1: "is read from the variable AWS_SECRET_ACCESS_KEY"},
    "env_default.env": {
        2: "is the default of the variable S3_REGION",
        3: "is read from the variable MINIO_PW; its default in the text is not "
        "used, so set the variable or enter the secret",
    },
    "env_empty_value.env": {1: "is empty"},
    "env_other_driver.env": {
        1: "REGISTRY_STORAGE selects a driver other than s3",
        2: "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY is not an S3 setting: "
        "it belongs to the registry's environment",
    },
    "env_partial_variable.env": {
        1: "contains a variable within other text; use the value itself",
        2: "contains a variable within other text; use the secret itself, or one variable",
    },
    "env_registry_settings.env": {
        1: "REGISTRY_LOG_LEVEL is not an S3 setting: it belongs to the registry's environment",
        2: "REGISTRY_STORAGE_DELETE_ENABLED is not an S3 setting: it "
        "belongs to the registry's environment",
        3: "REGISTRY_HTTP_SECRET is not an S3 setting: it belongs to the registry's environment",
    },
    "env_required.env": {3: "is a variable's name; expected its value"},
    "env_temporary.env": {
        3: "AWS_SESSION_TOKEN belongs to temporary credentials, which the "
        "registry cannot use; create an access key that stays valid"
    },
    "env_typo.env": {
        1: "unknown setting REGISTRY_STORAGE_S3_BUKET; did you mean REGISTRY_STORAGE_S3_BUCKET?",
        2: "unknown setting REGISTRY_STORAGE_S3_REGOIN; did you mean REGISTRY_STORAGE_S3_REGION?",
        3: "unknown setting AWS_SECRET_ACCES_KEY; did you mean AWS_SECRET_ACCESS_KEY?",
        4: "REGISTRY_STORAGE_S3_COLOUR is not a setting of the registry's S3 storage",
    },
    "env_whole_application.env": {
        0: "skipped what is not about S3: APP_ENV, LOG_LEVEL, DATABASE_URL, USER, PORT and 2 more"
    },
    "export_default.sh": {
        1: "is read from the variable MINIO_PW; its default in the text is not "
        "used, so set the variable or enter the secret",
        2: "is the default of the variable UNSET_REGION",
    },
    "kubernetes_env.yml": {
        8: "is in a Kubernetes secret; this prints it: kubectl get secret s3 "
        "-o jsonpath='{.data.secret\\.key}' | base64 -d"
    },
    "open_quote.sh": {1: "cannot be parsed; expected NAME=value"},
    "registry_config.yml": {10: "unknown setting bukcet; did you mean bucket?"},
}
"""By sample and line (0: none): what is said about it."""


def samples() -> list[Path]:
    """Return the sample files."""
    return sorted(FOLDER.iterdir())


def readable(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields with secrets in plain text, and $NAME for those from a variable."""
    return {name: _readable(value) for name, value in fields.items()}


def _readable(value: Any) -> Any:
    if isinstance(value, Typed):
        return value.secret.reveal()
    return f"${value.env}" if isinstance(value, FromEnvironment) else value


def fields_of(environment: dict[str, str]) -> dict[str, str]:
    """Return the fields that the variables of a process set."""
    names = {"AWS_ACCESS_KEY_ID": "accesskey", "AWS_SECRET_ACCESS_KEY": "secretkey"}
    prefix = "REGISTRY_STORAGE_S3_"
    return {
        names.get(name, name.removeprefix(prefix).lower()): value
        for name, value in environment.items()
        if name in names or name.startswith(prefix)
    }


SHELL = {
    "MINIO_PW": "of-the-shell", "MINIO_USER": "AKIASHELL", "AWS_ACCESS_KEY_ID": "AKIA",
    "AWS_SECRET_ACCESS_KEY": "aws-of-the-shell",
}  # fmt: skip
"""Variables of the operator's shell."""


def resolved(name: str) -> dict[str, str]:
    """Return a sample's fields as the registry gets them from the operator's shell."""
    texts = {field: str(value) for field, value in FIELDS[name].items()}
    return {
        field: SHELL.get(text[1:], text)
        if text.startswith("$")
        else text.lower()
        if text in {"True", "False"}
        else text
        for field, text in texts.items()
    }
