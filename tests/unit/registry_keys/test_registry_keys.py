from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as run_with
from hypothesis import strategies as st

from moorage.answers.model import Answers
from moorage.answers.secrets import FromEnvironment, Secret, Typed
from moorage.registry_keys import (
    check_environment,
    check_registry,
    check_settings,
    environment_to_settings,
    paste_s3_environment,
    secret_fault,
    secret_variables,
)
from moorage.registry_keys.environment import find, variable
from moorage.registry_keys.tree import TREE, VERSIONS, names

SECRET = "hunter2-hunter2"

REFERENCE = """
log:
  accesslog: {disabled: true}
  level: debug
  formatter: text
  fields: {service: registry, environment: staging}
  hooks:
    - type: mail
      levels: [panic]
      options: {smtp: {addr: "mail.example.com:25", insecure: true}, from: a, to: [b]}
storage:
  delete: {enabled: false}
  redirect: {disable: false}
  cache: {blobdescriptor: redis}
  maintenance:
    uploadpurging: {enabled: true, age: 168h, interval: 24h, dryrun: false}
    readonly: {enabled: false}
middleware:
  storage:
    - name: cloudfront
      options: {baseurl: "https://example.com/", keypairid: a, duration: 3000s}
http:
  host: https://registry.example.com
  relativeurls: false
  draintimeout: 60s
  headers: {X-Content-Type-Options: [nosniff]}
  http2: {disabled: false}
  debug: {prometheus: {enabled: true, path: /metrics}}
notifications:
  events: {includereferences: true}
  endpoints:
    - {name: a, url: "https://my.example.com/event", timeout: 1s, threshold: 10, backoff: 1s,
       ignore: {mediatypes: [application/octet-stream], actions: [pull]}}
health:
  storagedriver: {enabled: true, interval: 10s, threshold: 3}
  file: [{file: /path, interval: 10s}]
  http: [{uri: "http://example.com", statuscode: 200, timeout: 3s}]
  tcp: [{addr: "example.com:6379", timeout: 3s}]
catalog: {maxentries: 1000}
proxy: {remoteurl: "https://registry-1.example.com", username: a}
validation: {manifests: {urls: {allow: ["^https://example"], deny: ["^http:"]}}}
policy: {repository: {classes: [image]}}
"""
REDIS = {
    "2.8": {"addr": "a:6379", "db": 0, "pool": {"maxidle": 16, "idletimeout": "300s"}},
    "3.0": {"addrs": ["a:6379"], "db": 0, "poolsize": 64, "connmaxidletime": "300s"},
    "3.1": {"addrs": ["a:6379"], "tls": {"rootcas": ["/ca.pem"]}},
}


def told(settings: dict[str, Any], *versions: Any) -> dict[str, str]:
    problems = check_settings(settings, versions or VERSIONS)
    return {
        problem.dotted.removeprefix("registry.settings."): problem.message for problem in problems
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_the_documented_configuration_is_known(version: str) -> None:
    settings = yaml.safe_load(REFERENCE) | {"redis": REDIS[version]}
    assert told(settings, version) == {}


@pytest.mark.parametrize(
    ("settings", "path", "words"),
    [
        ({"lgo": {}}, "lgo", "did you mean log?"),
        ({"log": {"levle": "info"}}, "log.levle", "did you mean level?"),
        ({"log": {"Level": "info"}}, "log.Level", "did you mean level?"),
        ({"log": {"level": "loud"}}, "log.level", "must be error, warn, info or debug"),
        ({"log": "info"}, "log", "must be a section with"),
        ({"log": {"accesslog": {"disabled": "yes"}}}, "log.accesslog.disabled", "true or false"),
        ({"catalog": {"maxentries": "5"}}, "catalog.maxentries", "a whole number"),
        ({"catalog": {"maxentries": True}}, "catalog.maxentries", "a whole number"),
        ({"http": {"host": 5.5}}, "http.host", "must be text"),
        ({"http": {"host": "http://a b"}}, "http.host", "must be a URL"),
        ({"log": {"formatter": "JSON"}}, "log.formatter", "must be text, json or logstash"),
        ({"storage": {"redirect": None}}, "storage.redirect", "must not be empty"),
        ({"storage": {"tag": {"concurrencylimit": -1}}}, "storage.tag.concurrencylimit", "least 0"),
        ({"proxy": {"remoteurl": "a.example.com"}}, "proxy.remoteurl", "begins with https://"),
        (
            {"validation": {"manifests": {"urls": {"allow": ["a", "(?=b)"]}}}},
            "validation.manifests.urls.allow",
            "item 2 is not a regular expression",
        ),
        ({"http": {"draintimeout": 60}}, "http.draintimeout", "in nanoseconds"),
        ({"http": {"draintimeout": "1 min"}}, "http.draintimeout", "such as 500ms"),
        ({"http": {"headers": {"A": "b"}}}, "http.headers", "with a list, such as A: [value]"),
        ({"policy": {"repository": {"classes": "a"}}}, "policy.repository.classes", "a list"),
        ({"health": {"tcp": {"addr": "a"}}}, "health.tcp", "must be a list"),
        ({"health": {"tcp": [{"adr": "a"}]}}, "health.tcp[0].adr", "did you mean addr?"),
        ({"version": 0.1}, "version", "Moorage writes it"),
        ({"http": {"addr": ":5000"}}, "http.addr", "slots"),
        ({"http": {"net": "tcp"}}, "http.net", "slots"),
        ({"http": {"prefix": "/a/"}}, "http.prefix", "at the root"),
        ({"http": {"secret": "a"}}, "http.secret", "generates it"),
        ({"http": None}, "http", "leave it out"),
        ({"storage": None}, "storage", "leave it out"),
        ({"http": {"tls": {"certificate": "a"}}}, "http.tls", "nginx terminates TLS"),
        ({"http": {"debug": {"addr": ":1"}}}, "http.debug.addr", "slots"),
        ({"storage": {"s3": {"bucket": "a"}}}, "storage.s3", "section storage"),
        ({"auth": {"htpasswd": {}}}, "auth", "section credentials"),
    ],
)
def test_an_invalid_setting_is_reported(settings: dict[str, Any], path: str, words: str) -> None:
    found = told(settings)
    assert words in found[path]


@pytest.mark.parametrize(
    ("settings", "path", "having"),
    [
        ({"redis": {"addr": "a"}}, "redis.addr", ["2.8"]),
        ({"redis": {"addrs": ["a"]}}, "redis.addrs", ["3.0", "3.1"]),
        ({"redis": {"tls": {"clientcas": ["a"]}}}, "redis.tls.clientcas", ["3.0"]),
        ({"redis": {"tls": {"rootcas": ["a"]}}}, "redis.tls.rootcas", ["3.1"]),
        ({"tags": {"maxtags": 5}}, "tags", ["3.1"]),
        ({"proxy": {"ttl": "1h"}}, "proxy.ttl", ["3.0", "3.1"]),
        ({"proxy": {"cachewritetimeout": "1h"}}, "proxy.cachewritetimeout", ["3.1"]),
        ({"log": {"reportcaller": True}}, "log.reportcaller", ["3.0", "3.1"]),
        ({"reporting": {}}, "reporting", ["2.8"]),
        ({"compatibility": {"schema1": {"enabled": True}}}, "compatibility", ["2.8"]),
        ({"http": {"h2c": {"enabled": True}}}, "http.h2c", ["3.0", "3.1"]),
    ],
)
def test_a_setting_of_another_version_is_reported(
    settings: dict[str, Any], path: str, having: list[str]
) -> None:
    there = " and ".join(having)
    for version in VERSIONS:
        expected = (
            {}
            if version in having
            else {path.partition(".tls.")[0] + ".tls": ""}
            if ".tls." in path and version == "2.8"
            else {path: f"exists only in registry {there}; this is {version}"}
        )
        found = told(settings, version)
        assert found.keys() == expected.keys()
        assert all(found[key].startswith(text) for key, text in expected.items())
    # Servers with different versions have one of them each.
    assert told(settings) == {}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_cors_headers_of_the_reference_are_valid(version: str) -> None:
    headers = {
        "Access-Control-Allow-Origin": ["*"],
        "Access-Control-Max-Age": [1728000],
        "Access-Control-Allow-Credentials": [True],
    }
    assert told({"http": {"headers": headers}}, version) == {}


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"redis": {"password": SECRET}}, "REGISTRY_REDIS_PASSWORD"),
        ({"proxy": {"password": SECRET}}, "REGISTRY_PROXY_PASSWORD"),
        ({"notifications": {"endpoints": [{"headers": {"Authorization": [SECRET]}}]}},
         "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_HEADERS"),
        ({"notifications": {"endpoints": [{"url": f"https://a:{SECRET}@example.com"}]}},
         "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL"),
        ({"log": {"hooks": [{"options": {"smtp": {"password": SECRET}}}]}},
         "REGISTRY_LOG_HOOKS_0_OPTIONS_SMTP_PASSWORD"),
        ({"middleware": {"storage": [{"name": "a", "options": {"secretkey": SECRET}}]}},
         "REGISTRY_MIDDLEWARE_STORAGE_0_OPTIONS_SECRETKEY"),
    ],
)  # fmt: skip
def test_a_plain_text_secret_is_reported_without_repeating_it(
    settings: dict[str, Any], name: str
) -> None:
    (message,) = told(settings).values()
    assert "contains a secret" in message
    assert f"set the variable {name} by reference" in message
    assert SECRET not in message


def test_every_key_has_an_environment_variable() -> None:
    for name in names():
        path, way = find(name)
        assert variable(path) == name
        assert way


def test_variables_are_translated() -> None:
    translated = environment_to_settings(
        {
            "REGISTRY_LOG_LEVEL": "debug",
            "REGISTRY_LOG_FIELDS_SERVICE": "registry",
            "REGISTRY_STORAGE": "s3",
            "REGISTRY_STORAGE_S3_REGION": "eu-central-1",
            "REGISTRY_STORAGE_S3_CHUNKSIZE": "10485760",
            "REGISTRY_STORAGE_S3_SECURE": "true",
            "REGISTRY_STORAGE_S3_SECRETKEY": "x",
            "REGISTRY_STORAGE_DELETE_ENABLED": "true",
            "REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING": "{enabled: false}",
            "REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_AGE": "1h",
            "REGISTRY_STORAGE_AZURE_MAX_RETRIES": "3",
            "REGISTRY_HTTP_HEADERS_Access-Control-Allow-Origin": "['*']",
            "REGISTRY_NOTIFICATIONS_ENDPOINTS_1_NAME": "b",
            "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_NAME": "1",
            "REGISTRY_POLICY_REPOSITORY_CLASSES_0": "image",
        }
    )
    assert translated.problems == []
    assert translated.secrets == {"REGISTRY_STORAGE_S3_SECRETKEY": "storage.s3.secretkey"}
    assert translated.settings == {
        "log": {"level": "debug", "fields": {"service": "registry"}},
        "storage": {
            "s3": {"region": "eu-central-1", "chunksize": 10485760, "secure": True},
            "delete": {"enabled": True},
            "maintenance": {"uploadpurging": {"enabled": False, "age": "1h"}},
            "azure": {"max_retries": 3},
        },
        "http": {"headers": {"Access-Control-Allow-Origin": ["*"]}},
        "notifications": {"endpoints": [{"name": "1"}, {"name": "b"}]},
        "policy": {"repository": {"classes": ["image"]}},
    }


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("REGISTRY_LOG_LEVL", "info", "did you mean REGISTRY_LOG_LEVEL?"),
        ("REGISTRY_LOG_LEVEL_X", "info", "did you mean REGISTRY_LOG_LEVEL?"),
        ("REGISTRY_ZZZ", "1", "is not a registry setting"),
        ("REGISTRY_STORAGE", "floppy", "expected one of filesystem"),
        ("REGISTRY_CATALOG_MAXENTRIES", "", "is empty"),
        ("REGISTRY_CATALOG_MAXENTRIES", "[1", "is not YAML"),
    ],
)
def test_an_untranslatable_variable_is_reported(name: str, value: str, words: str) -> None:
    (problem,) = environment_to_settings({name: value}).problems
    assert words in problem.message
    assert problem.dotted == f"registry.environment.{name}"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("REGISTRY_STORAGE", "s3", "see storage.driver"),
        ("REGISTRY_STORAGE_S3_BUCKET", "a", "see storage.s3.bucket"),
        ("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "/a", "storage.filesystem.path"),
        ("REGISTRY_AUTH_HTPASSWD_PATH", "a", "section credentials"),
        ("REGISTRY_HTTP_ADDR", ":5000", "slots"),
        ("REGISTRY_HTTP_TLS_KEY", "a", "nginx terminates TLS"),
        ("REGISTRY_REDIS_PASSWORD", SECRET, "by reference"),
        ("REGISTRY_REDIS_ADDR", "a", "exists only in registry 2.8"),
        ("REGISTRY_CATALOG_MAXENTRIES", "many", "a whole number"),
        ("REGISTRY_HTTP_DRAINTIMEOUT", 60, "must have a unit"),
        ("REGISTRY_NOTIFICATIONS_ENDPOINTS", f"[{{headers: {{Authorization: [{SECRET}]}}}}]",
         "by reference"),
    ],
)  # fmt: skip
def test_an_invalid_variable_is_reported(name: str, value: object, words: str) -> None:
    problems = check_environment({name: value}, ["3.1"])
    assert words in problems[0].explain()
    assert SECRET not in problems[0].message


def test_a_secret_by_reference_is_valid() -> None:
    assert check_environment({"REGISTRY_REDIS_PASSWORD": FromEnvironment("A")}, ["3.1"]) == []
    assert check_environment({"REGISTRY_LOG_LEVEL": "info", "REGISTRY_CATALOG_MAXENTRIES": 5,
                              "REGISTRY_VALIDATION_DISABLED": True}, ["3.1"]) == []  # fmt: skip


@run_with(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*names(), "REGISTRY_LOG_HOOKS_0", "REGISTRY_HTTP_HEADERS_X", "REGISTRY_"])
        | st.from_regex(r"REGISTRY_[A-Z0-9_]{0,20}", fullmatch=True),
        st.text(max_size=12) | st.sampled_from(["{a: b}", "[a]", "5", "true", "s3", "null"]),
        max_size=6,
    )
)
def test_no_variable_crashes_the_translation(environment: dict[str, str]) -> None:
    environment_to_settings(environment)
    check_environment(environment, ["2.8"])


@run_with(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from([*TREE.keys, "s3", "endpoints", "x"]), inner, max_size=4
            )
        ),
    )
)
def test_no_settings_crash_the_check(value: object) -> None:
    check_settings({"http": value, "notifications": {"endpoints": value}, "log": value})


STYLES = {
    "env file": "REGISTRY_STORAGE_S3_{}={}",
    "shell": "export REGISTRY_STORAGE_S3_{}='{}'",
    "compose list": '      - "REGISTRY_STORAGE_S3_{}={}"',
    "compose map": "      REGISTRY_STORAGE_S3_{}: {}",
    "docker run": "  -e REGISTRY_STORAGE_S3_{}={} \\",
    "Dockerfile": "ENV REGISTRY_STORAGE_S3_{}={}",
    "comments": "REGISTRY_STORAGE_S3_{}={}  # as agreed",
}


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES.keys())
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_a_pasted_block_is_understood(style: str, end: str) -> None:
    values = {
        "REGION": "eu-central-1",
        "BUCKET": "images",
        "ACCESSKEY": "AKIAEXAMPLE",
        "SECRETKEY": "abc/def+ghi=",
        "CHUNKSIZE": "10485760",
        "SECURE": "true",
        "FORCEPATHSTYLE": "false",
        "REGIONENDPOINT": "https://s3.example.com:9000/a#b",
    }
    block = ["# S3", "", *(style.format(name, value) for name, value in values.items())]
    fields, problems, _ = paste_s3_environment(end.join(block))
    assert problems == []
    assert fields == {
        "region": "eu-central-1",
        "bucket": "images",
        "accesskey": Typed(Secret("AKIAEXAMPLE")),
        "secretkey": Typed(Secret("abc/def+ghi=")),
        "chunksize": 10485760,
        "secure": True,
        "forcepathstyle": False,
        "regionendpoint": "https://s3.example.com:9000/a#b",
    }


def test_a_pasted_configuration_and_awss_own_names_are_understood() -> None:
    text = "storage:\n  s3:\n    bucket: images\n    region: eu\nAWS_SECRET_ACCESS_KEY=abc\n"
    fields, problems, _ = paste_s3_environment(text)
    assert problems == []
    assert fields == {"bucket": "images", "region": "eu", "secretkey": Typed(Secret("abc"))}


def test_a_pasted_variable_becomes_a_reference_to_it() -> None:
    fields, problems, _ = paste_s3_environment("REGISTRY_STORAGE_S3_SECRETKEY=${S3_SECRET}")
    assert fields == {"secretkey": FromEnvironment("S3_SECRET")}
    assert problems == []


def test_errors_in_a_paste_name_the_line_but_not_the_value() -> None:
    text = f"""REGISTRY_STORAGE_S3_REGON={SECRET}
REGISTRY_STORAGE_S3_CHUNKSIZE={SECRET}
REGISTRY_STORAGE_S3_SECURE={SECRET}
{SECRET} {SECRET}
REGISTRY_LOG_LEVEL={SECRET}
REGISTRY_STORAGE=filesystem
REGISTRY_STORAGE_S3_BUCKET="""
    fields, problems, _ = paste_s3_environment(text)
    assert fields == {}
    assert [problem.line for problem in problems] == [1, 2, 3, 4, 5, 6, 7]
    assert "did you mean REGISTRY_STORAGE_S3_REGION?" in problems[0].message
    assert not any(SECRET in str(problem) for problem in problems)


@run_with(deadline=None)
@given(st.text(max_size=60))
def test_no_paste_crashes(text: str) -> None:
    paste_s3_environment(text)


@run_with(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_secret_text_is_one_line_of_ascii_that_yaml_reads_as_it_is(secret: str) -> None:
    for name in (
        "REGISTRY_REDIS_PASSWORD",
        "REGISTRY_LOG_FIELDS_A",
        "REGISTRY_STORAGE_S3_SECRETKEY",
    ):
        assert not secret_fault(name, secret)
        (value,) = secret_variables({name: secret}, {}, "2.8").values()
        assert re.fullmatch("[ -~]+", value)
        assert yaml.safe_load(value) == secret


@pytest.mark.parametrize(
    ("name", "secret", "value"),
    [
        ("REGISTRY_REDIS_DB", "7", "7"),
        ("REGISTRY_HTTP_RELATIVEURLS", "yes", "true"),
        ("REGISTRY_REDIS_DIALTIMEOUT", "10s", '"10s"'),
        ("REGISTRY_LOG_LEVEL", "debug", '"debug"'),
        ("REGISTRY_HTTP_HEADERS_X-Token", "['a #b', 08]", '["a #b", "08"]'),
        (
            "REGISTRY_NOTIFICATIONS_ENDPOINTS",
            '[{name: a, url: "https://u:pw@h/", headers: {Authorization: ["Bearer ä"]}}]',
            '[{"name": "a", "url": "https://u:pw@h/", '
            '"headers": {"Authorization": ["Bearer \\xE4"]}}]',
        ),
    ],
)
def test_a_secret_of_another_type_keeps_its_value(name: str, secret: str, value: str) -> None:
    assert not secret_fault(name, secret)
    assert secret_variables({name: secret}, {}, "2.8") == {name: value}


ENDPOINTS = {
    "notifications": {
        "endpoints": [
            {"name": "a", "url": "https://a.example.com", "headers": {"X-Team": ["a"]}},
            {"name": "b", "url": "https://b.example.com"},
        ]
    },
    "log": {"hooks": [{"type": "mail", "options": {"smtp": {"addr": "m:25"}, "to": ["a"]}}]},
}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_list_with_secrets_is_given_whole(version: Any) -> None:
    variables = secret_variables(
        {
            "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_HEADERS": "{Authorization: [Bearer x]}",
            "REGISTRY_NOTIFICATIONS_ENDPOINTS_1_URL": "https://u:p@b.example.com",
            "REGISTRY_LOG_HOOKS_0_MAILOPTIONS_SMTP_PASSWORD": "p: #1",
        },
        ENDPOINTS,
        version,
    )
    assert {name: yaml.safe_load(value) for name, value in variables.items()} == {
        "REGISTRY_NOTIFICATIONS_ENDPOINTS": [
            {
                "name": "a",
                "url": "https://a.example.com",
                "headers": {"X-Team": ["a"], "Authorization": ["Bearer x"]},
            },
            {"name": "b", "url": "https://u:p@b.example.com"},
        ],
        "REGISTRY_LOG_HOOKS": [
            {
                "type": "mail",
                "options": {"smtp": {"addr": "m:25", "password": "p: #1"}, "to": ["a"]},
            }
        ],
    }


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("REGISTRY_REDIS_PASSWORD", "2.8", "REGISTRY_REDIS_PASSWORD"),
        ("REGISTRY_REDIS_PASSWORD", "3.0", "REGISTRY_REDIS_OPTIONS_PASSWORD"),
        ("REGISTRY_REDIS_PASSWORD", "3.1", "REGISTRY_REDIS_PASSWORD"),
        ("REGISTRY_HEALTH_HTTP_0_URI", "3.1", "REGISTRY_HEALTH_HTTPCHECKERS"),
        ("REGISTRY_HEALTH_HTTPCHECKERS_0_URI", "2.8", "REGISTRY_HEALTH_HTTPCHECKERS"),
        ("REGISTRY_MIDDLEWARE_STORAGE_0_OPTIONS_X", "2.8", "REGISTRY_MIDDLEWARE_STORAGE"),
    ],
)
def test_a_secret_has_the_name_that_the_registry_reads(
    name: str, version: Any, expected: str
) -> None:
    assert [*secret_variables({name: "x"}, {}, version)] == [expected]


@pytest.mark.parametrize(
    ("name", "secret", "fault"),
    [
        ("REGISTRY_REDIS_DB", "hunter2-hunter2", "a whole number"),
        ("REGISTRY_REDIS_DIALTIMEOUT", "hunter2-hunter2", "a duration"),
        ("REGISTRY_LOG_LEVEL", "hunter2-hunter2", "must be error"),
        ("REGISTRY_HTTP_HEADERS_X-Token", "hunter2-hunter2", "a list"),
        ("REGISTRY_NOTIFICATIONS_ENDPOINTS", "@hunter2-hunter2", "is not YAML"),
        ("REGISTRY_NOTIFICATIONS_ENDPOINTS", "[{hunter2-hunter2: 1}]", "is not a key"),
        ("REGISTRY_REDIS", "hunter2-hunter2: 1", "is not a key"),
        ("REGISTRY_REDIS", "a\0b", "is not YAML"),
    ],
)
def test_an_invalid_secret_is_rejected_without_showing_it(
    name: str, secret: str, fault: str
) -> None:
    message = secret_fault(name, secret)
    assert fault in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("name", "value", "version", "words"),
    [
        ("HTTP_PROXY", "http://proxy:3128", "2.8", ""),
        ("HTTP_PROXY", "http://a:hunter2@proxy:3128", "2.8", "contains a secret"),
        ("NO_PROXY", "localhost,.example.com", "2.8", ""),
        ("AWS_SECRET_ACCESS_KEY", "hunter2", "2.8", "contains a secret"),
        ("AWS_SECRET_ACCESS_KEY", FromEnvironment("A"), "2.8", ""),
        ("AWS_ACCESS_KEY_ID", "AKIA1", "2.8", ""),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/etc/token", "3.1", ""),
        ("AWS_CA_BUNDLE", "/etc/ca.pem", "2.8", "keeps registry 2.8 from starting"),
        ("AWS_CA_BUNDLE", "/etc/ca.pem", "3.1", ""),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-team=hunter2", "3.1", "contains a secret"),
        ("OTEL_TRACES_EXPORTER", "otlp", "3.1", ""),
        ("OTEL_TRACES_EXPORTER", "otlp", "2.8", "has no effect"),
    ],
)
def test_variables_of_the_process_are_checked(
    name: str, value: object, version: Any, words: str
) -> None:
    problems = check_environment({name: value}, [version])
    assert bool(problems) == bool(words)
    assert all(words in problem.message for problem in problems)
    assert "hunter2" not in str(problems)


def test_redirects_that_are_turned_off_beside_middleware_that_redirects_are_reported() -> None:
    item = {"name": "redirect", "options": {"baseurl": "https://a.example.com"}}
    answers = Answers.model_validate(
        {
            "registry": {
                "domain": "registry.example.com",
                "settings": {
                    "middleware": {"storage": [item]},
                    "storage": {"redirect": {"disable": True}},
                },
            },
            "servers": [{"host": "one"}],
            "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
        }
    )

    (problem,) = check_registry(answers)

    assert problem.dotted == "registry.settings.storage.redirect.disable"
    assert "otherwise the storage middleware has no effect" in problem.message
