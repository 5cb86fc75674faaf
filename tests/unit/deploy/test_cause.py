"""The line that names the cause, out of what real programs said: each sample was recorded."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

WHY = Path("templates/shell/run/causes.sh").resolve()
STACK = """
goroutine 1 [running]:
github.com/docker/distribution/registry/handlers.NewApp({0x11a4b98?, 0xc0?}, 0xc00008d500)
	github.com/docker/distribution/registry/handlers/app.go:272 +0x1d85
main.main()
	github.com/docker/distribution/cmd/registry/main.go:22 +0x25
moorage-registry@green.service: Main process exited, code=exited, status=2/INVALIDARGUMENT
moorage-registry@green.service: Failed with result 'exit-code'.
moorage-registry@green.service: Scheduled restart job, restart counter is at 1.
Stopped moorage-registry@green.service - Moorage registry (green).
Starting moorage-registry@green.service - Moorage registry (green)...
Error: No such container: moorage-registry-green
Started moorage-registry@green.service - Moorage registry (green).
"""
LONG_PATH = "/".join(["layer"] * 90)
SAID = {
    "a panic before its stack": (
        f'time="2026-11-28T01:02:02Z" level=info msg="redis not configured"\n'
        f"panic: redis configuration required to use for layerinfo cache\n{STACK}",
        "redis configuration required to use for layerinfo cache",
    ),
    "a bad configuration before its usage": (
        "configuration error: error parsing /etc/c.yml: yaml: line 1: did not find x\n"
        "Usage:\n  registry serve <config> [flags]\nFlags:\n  -h, --help   help for serve\n"
        "x.service: Main process exited, code=exited, status=1/FAILURE\n",
        "configuration error: error parsing /etc/c.yml: yaml: line 1: did not find x",
    ),
    "a fatal line as text": (
        'time="2026" level=fatal msg="open \\"/x\\": permission denied" go.version=go1.19.8\n',
        'open "/x": permission denied',
    ),
    "a fatal line as JSON": (
        '{"go.version":"go1","level":"fatal","msg":"open \\"/x\\": denied","time":"2026"}\n',
        'open "/x": denied',
    ),
    "a storage that cannot be reached": (
        'time="2026" level=error msg="response completed with error" err.code=unknown '
        'err.detail="s3aws: RequestError: send request failed\\ncaused by: Get '
        '\\"http://127.0.0.1:9/b?delimiter=%2F&prefix=docker\\": dial tcp 127.0.0.1:9: '
        'connect: connection refused" err.message="unknown error" vars.name=moorage-health\n',
        's3aws: RequestError: send request failed caused by: Get "http://127.0.0.1:9/b": '
        "dial tcp 127.0.0.1:9: connect: connection refused",
    ),
    "an unknown repository is what a check asks for": (
        'time="2026" level=error msg="response completed with error" err.code="name unknown" '
        'err.message="repository name not known to registry" vars.name=moorage-health\n'
        "moorage-registry@blue.service: Main process exited, code=killed, status=9/KILL\n",
        "it was killed by signal KILL",
    ),
    "a program that is not there": (
        "m.service: Failed at step EXEC spawning /usr/bin/docker-registry: No such file\n"
        "m.service: Main process exited, code=exited, status=203/EXEC\n",
        "Failed at step EXEC spawning /usr/bin/docker-registry: No such file",
    ),
    "memory": (
        "m.service: A process of this unit has been killed by the OOM killer.\n"
        "m.service: Main process exited, code=killed, status=9/KILL\n",
        "it ran out of memory and was killed",
    ),
    "docker's wrapping": (
        "docker: Error response from daemon: failed to create shim task: OCI runtime create "
        'failed: runc create failed: unable to start container process: exec: "/bin/registry": '
        "stat /bin/registry: no such file or directory: unknown.\n"
        "See 'docker run --help'.\n",
        'exec: "/bin/registry": stat /bin/registry: no such file or directory',
    ),
    "crun's JSON": (
        '{"msg":"exec container process `/bin/registry`: Exec format error","level":"error"}\n',
        "exec container process `/bin/registry`: Exec format error",
    ),
    "podman's events": (
        "2026-11-28 01:06:20.2555142 +0000 UTC m=+0.02 volume create 414eba2e963e\n"
        "Error: crun: executable file `/bin/registry` not found in $PATH: No such file or "
        "directory: OCI runtime attempted to invoke a command that was not found\n"
        "2026-11-28 01:06:20.3494410 +0000 UTC m=+0.02 container died fb43d55cd313\n",
        "executable file `/bin/registry` not found in $PATH: No such file or directory",
    ),
    "no image archive": (
        "Error: payload does not match any of the supported image formats:\n"
        " * oci: initializing source oci:image.tar:: open index.json: not a directory\n"
        " * docker-archive: loading tar component manifest.json: unexpected EOF\n",
        "payload does not match any of the supported image formats",
    ),
    "an address in use, before nginx gives up": (
        "2026/11/28 01:00:00 [emerg] 12#12: bind() to 10.0.0.1:443 failed (98: Address in use)\n"
        "2026/11/28 01:00:00 [notice] 12#12: try again to bind() after 500ms\n"
        "2026/11/28 01:00:00 [emerg] 12#12: still could not bind()\n",
        "bind() to 10.0.0.1:443 failed (98: Address in use)",
    ),
    "nginx's test": (
        'nginx: [warn] the "listen ... http2" directive is deprecated\n'
        'nginx: [emerg] unknown directive "nonsense" in /etc/nginx/conf.d/broken.conf:1\n'
        "nginx: configuration file /etc/nginx/nginx.conf test failed\n",
        'unknown directive "nonsense" in /etc/nginx/conf.d/broken.conf:1',
    ),
    "a package that cannot be configured": (
        "dpkg: error processing package docker-registry (--configure):\n"
        " installed docker-registry package post-installation script returned error status 1\n"
        "Errors were encountered while processing:\n docker-registry\n"
        "E: Sub-process /usr/bin/dpkg returned an error code (1)\n",
        "docker-registry: installed docker-registry package post-installation script "
        "returned error status 1",
    ),
    "a package on hold": (
        "The following held packages will be changed:\n  docker-registry\n"
        "0 upgraded, 1 newly installed, 0 to remove and 1 not upgraded.\n"
        "E: Held packages were changed and -y was used without "
        "--allow-change-held-packages.\n",
        "docker-registry is on hold; release it with: apt-mark unhold docker-registry",
    ),
    "packages that do not fit": (
        "The following packages have unmet dependencies:\n"
        " libnginx-mod-http-js : Depends: nginx-abi-1.22.1-7\n"
        "E: Unable to correct problems, you have held broken packages.\n",
        "libnginx-mod-http-js : Depends: nginx-abi-1.22.1-7",
    ),
    "a mirror": (
        "Err:1 http://deb.example.test bookworm InRelease\n"
        "W: Failed to fetch http://deb.example.test/InRelease  Could not resolve 'x'\n"
        "W: Some index files failed to download. They have been ignored.\n",
        "Failed to fetch http://deb.example.test/InRelease Could not resolve 'x'",
    ),
    "nothing": ("Started moorage-registry@blue.service - Moorage registry (blue).\n", ""),
    "something unknown": ("first\nthe last word\n", "the last word"),
}  # fmt: skip


def _cause(said: str) -> str:
    done = subprocess.run(
        ["sh", "-c", '. "$1"; cause', "sh", str(WHY)],
        input=said, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert not done.stderr
    return done.stdout


@pytest.mark.parametrize("what", SAID)
def test_the_line_that_names_the_cause(what: str) -> None:
    said, cause = SAID[what]
    assert _cause(said) == cause


def test_a_long_line_is_shortened_in_the_middle() -> None:
    cause = _cause(f"panic: opening the store: stat /srv/{LONG_PATH}: permission denied\n")
    assert len(cause) <= 300
    assert cause.startswith("opening the store: ")
    assert cause.endswith("permission denied")


def test_program_output_is_data() -> None:
    assert _cause("panic: %s $(touch /tmp/x) `id` \\n ' \"\n") == "%s $(touch /tmp/x) `id` \\n ' \""
