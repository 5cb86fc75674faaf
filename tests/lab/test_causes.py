"""Whatever keeps a registry, nginx, an engine or apt from its job: the message names the cause.

One server a runtime gets one failing apply after the other; each is rolled back.
"""

from __future__ import annotations

import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from operator_at_work import DOMAIN, Operator
from thorough import IS_THOROUGH

from lab import LabServer
from lab.image import Entry, build_small_image, write_archive
from moorage.answers.model import Answers
from moorage.errors import ServersFailed

OF_PODMAN = ("an archive that is none", "an image that cannot be pulled")
"""Causes that Podman words differently than Docker."""
IMAGE = "docker.io/library/registry:2.8"
SQUATTER = "import socket, time\ns = socket.create_server(('', 9090))\ntime.sleep(600)\n"
UPSTREAM_DOWN = {"settings": {"proxy": {"remoteurl": "http://127.0.0.1:9"}}}


@dataclass(frozen=True)
class Cause:
    """Something that makes an apply fail.

    Attributes:
        says: What the message holds.
        before: What is done to the server first, in sh.
        after: What undoes it.
        registry: The registry's part of the answers.
        parts: Other parts of the answers.
    """

    says: str
    before: str = ""
    after: str = ""
    registry: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, Any] = field(default_factory=dict)


def _s3(**more: Any) -> dict[str, Any]:
    keys = {"accesskey": {"env": "S3_ACCESS"}, "secretkey": {"env": "S3_SECRET"}}
    return {"storage": {"driver": "s3", "s3": {"bucket": "images", **keys, **more}}}


def _neighbour(config: str) -> dict[str, str]:
    """A change of ours, while a neighbour's file has this in it."""
    path = "/etc/nginx/conf.d/neighbour.conf"
    return {"before": f"cat > {path} <<'END'\n{config}\nEND\n", "after": f"rm -f {path}"}


DROP_INS = "/etc/systemd/system/moorage-registry@green.service.d"
CHANGE = {"settings": {"log": {"level": "debug"}}}
TWO_KEYS = (
    "for n in 1 2; do openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -days 9 "
    "-keyout /etc/ssl/k$n -out /etc/ssl/c$n 2>/dev/null; done\n"
)
BAD_PAIR = _neighbour(
    "server { listen 9443 ssl; ssl_certificate /etc/ssl/c1; ssl_certificate_key /etc/ssl/k2; }"
)
OF_THE_REGISTRY = {
    "a cache whose upstream is down": Cause(
        'the registry does not start: Get "http://127.0.0.1:9/v2/": dial tcp',
        registry=UPSTREAM_DOWN,
    ),
    "a store that is not there": Cause(
        "dial tcp 127.0.0.1:9: connect: connection refused",
        parts=_s3(region="us-east-1", regionendpoint="http://127.0.0.1:9"),
    ),
    "images that belong to somebody else": Cause(
        "docker/registry/v2/repositories",
        before="install -d -o moorage -g moorage /srv/other && install -d /srv/other/docker && "
        "chmod 700 /srv/other/docker",
        parts={"storage": {"driver": "filesystem", "filesystem": {"path": "/srv/other"}}},
    ),
    "too little memory": Cause(
        "the registry does not start: failed to reserve page summary memory",
        before=f"mkdir {DROP_INS} && cd {DROP_INS} && printf '[Service]\\nLimitAS=64M\\n' > x.conf",
        after=f"rm -r {DROP_INS}",
        registry=CHANGE,
    ),
}  # fmt: skip
OF_NGINX_AND_APT = {
    "a neighbour's mistake": Cause(
        'unknown directive "nonsense" in /etc/nginx/conf.d/neighbour.conf:1',
        registry=CHANGE, **_neighbour("nonsense on;"),
    ),
    "a key of another certificate": Cause(
        "/etc/ssl/k2",
        before=TWO_KEYS + BAD_PAIR["before"], after=BAD_PAIR["after"], registry=CHANGE,
    ),
    "a neighbour's port that is taken": Cause(
        "bind() to 0.0.0.0:9090 failed (98: Address already in use); it is taken by python3",
        registry=CHANGE, **_neighbour("server { listen 9090; }"),
    ),
    "no way to the package mirror": Cause(
        "the packages could not be installed: ",
        before="apt-get -q -y purge libnginx-mod-http-js >/dev/null 2>&1; "
        "umount /var/cache/apt/archives; ip route save > /tmp/routes; "
        "ip route replace unreachable default",
        after="ip route del unreachable default; ip route restore < /tmp/routes 2>/dev/null; true",
    ),
}  # fmt: skip


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys for a store that nobody reaches."""
    monkeypatch.setenv("S3_ACCESS", "an-access-key")
    monkeypatch.setenv("S3_SECRET", "a-secret-key")


@contextmanager
def _prepared(server: LabServer, cause: Cause) -> Iterator[None]:
    if cause.before:
        server.run(cause.before)
    try:
        yield
    finally:
        if cause.after:
            server.run(cause.after)


def _complaints(
    operator: Operator, server: LabServer, causes: dict[str, Cause], answers: Callable[..., Answers]
) -> list[str]:
    """Apply each, and return which of them were not named or not rolled back."""
    wrong = []
    for what, cause in causes.items():
        with _prepared(server, cause):
            said = _refusal(operator, answers(cause))
        if cause.says not in said.partition("\n")[0]:
            wrong.append(f"{what}: {said}")
        if not _serves(operator, server):
            wrong.append(f"{what}: the registry is not as it was")
    return wrong


def _refusal(operator: Operator, answers: Answers) -> str:
    """Say why an apply fails: before the run, when the plan knows, or in it."""
    try:
        [report] = operator.apply(answers).report.servers
    except ServersFailed as refused:
        return refused.errors[0].message
    return report.message if report.status == "failed" else f"{report.status}: {report.message}"


def _serves(operator: Operator, server: LabServer) -> bool:
    """Whether users are let in; a registry whose engine was down has some seconds to start."""
    deadline = time.monotonic() + 30
    while operator.status(server) != 200:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


@pytest.mark.deployed
@pytest.mark.usefixtures("keys")
def test_causes_from_the_packaged_registry_nginx_and_apt(
    operator: Operator, server: LabServer
) -> None:
    def answers(cause: Cause) -> Answers:
        return operator.answers(
            [server], registry={"domain": DOMAIN, **cause.registry}, **cause.parts
        )

    server.write_file("/srv/squatter.py", SQUATTER)
    server.run("systemd-run -q --unit=squatter python3 /srv/squatter.py")

    wrong = _complaints(operator, server, OF_THE_REGISTRY | OF_NGINX_AND_APT, answers)
    assert not wrong, "\n".join(wrong)


@pytest.mark.deployed
def test_what_apt_will_not_install_is_known_before_it_is_asked(
    operator: Operator, server: LabServer
) -> None:
    answers = operator.answers([server])
    server.run(
        "apt-get -q -y purge libnginx-mod-http-js >/dev/null 2>&1; "
        "apt-mark hold docker-registry libnginx-mod-http-js >/dev/null; "
        "sed -i '/^Package: gzip$/,/^$/s/^Status: .*/Status: install ok half-configured/' "
        "/var/lib/dpkg/status"
    )
    [plan] = operator.plan(answers).servers
    problems = {problem.code: problem for problem in plan.problems}
    assert problems["on_hold"].advice.endswith("apt-mark unhold libnginx-mod-http-js")
    assert problems["half_installed"].message.startswith("gzip is only half installed")
    assert problems["half_installed"].advice.endswith("dpkg --configure -a")
    assert "docker-registry" not in [package.name for package in plan.packages]
    server.run("dpkg --configure -a && apt-mark unhold docker-registry libnginx-mod-http-js")
    operator.install(answers)


def _images(folder: Path, registry_image: Path) -> dict[str, Path]:
    """Archives that are none, hold another image, or one for another architecture."""
    settings = {"Entrypoint": ["/bin/registry"]}
    wrong = {}
    with tarfile.open(registry_image) as archive:
        layers = [name for name in archive.getnames() if name.endswith("layer.tar")]
        layer = archive.extractfile(layers[0])
        assert layer is not None
        with tarfile.open(fileobj=BytesIO(layer.read())) as files:
            for member in files:
                content = files.extractfile(member)
                if content is not None:
                    wrong[member.name] = Entry(content.read(), member.mode)
    program = bytearray(wrong["bin/registry"].content or b"")
    program[18:20] = b"\xf3\x00"  # the machine in an ELF header
    wrong["bin/registry"] = Entry(bytes(program), 0o755)
    paths = {name: folder / f"{name}.tar" for name in ("nonsense", "other", "foreign")}
    paths["nonsense"].write_bytes(b"this is not an image\n" * 50)
    build_small_image(paths["other"], "docker.io/library/other:1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lab.image.platform.machine", lambda: "riscv64")
        write_archive(paths["foreign"], IMAGE, wrong, settings)
    return paths


def _of_images(paths: dict[str, Path]) -> dict[str, Cause]:
    def archive(name: str) -> dict[str, Any]:
        return {"image": IMAGE, "image_archive": str(paths[name])}

    return {
        "an archive that is none": Cause(
            "the image archive could not be loaded: ", registry=archive("nonsense")
        ),
        "an archive of another image": Cause(
            "other:1, not docker.io/library/registry:2.8",
            registry=archive("other"),
        ),
        "an image for another architecture": Cause(
            "the image is for riscv64, and this server is ",
            registry=archive("foreign"),
        ),
        "an image that cannot be pulled": Cause(
            "connection refused", registry={"image": "127.0.0.1:9/registry:2.8"}
        ),
        "a cache whose upstream is down": Cause(
            'the registry does not start: Get "http://127.0.0.1:9/v2/": dial tcp',
            registry=UPSTREAM_DOWN,
        ),
    }


@pytest.mark.ready("docker.io")
@pytest.mark.usefixtures("keys")
def test_causes_from_docker_and_podman(
    operator: Operator, server: LabServer, registry_image: Path, tmp_path: Path
) -> None:
    causes = _of_images(_images(tmp_path, registry_image))
    broken_docker = {
        "a docker that does not start": Cause(
            "/etc/docker/daemon.json",
            before="echo nonsense > /etc/docker/daemon.json; "
            "systemctl stop docker.socket docker; systemctl reset-failed docker; true",
            after="rm /etc/docker/daemon.json; systemctl reset-failed docker; "
            "systemctl start docker.socket docker moorage-registry@blue",
            registry=CHANGE,
        ),
    }  # fmt: skip

    def of(runtime: str) -> Callable[[Cause], Answers]:
        first = {"domain": DOMAIN, "runtime": runtime}
        good = {"image": IMAGE, "image_archive": str(registry_image)}

        def answers(cause: Cause) -> Answers:
            image = {} if "image" in cause.registry else good
            return operator.answers([server], registry={**first, **image, **cause.registry})

        return answers

    operator.install(of("docker")(Cause("")))
    wrong = _complaints(operator, server, broken_docker | causes, of("docker"))
    # Debian's docker.io has brought runc, but podman looks for crun.
    operator.install(of("podman")(Cause("")))
    different = causes if IS_THOROUGH else {each: causes[each] for each in OF_PODMAN}
    wrong += _complaints(operator, server, different, of("podman"))
    assert not wrong, "\n".join(wrong)
