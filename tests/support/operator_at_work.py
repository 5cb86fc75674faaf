"""An operator who runs Moorage on lab servers, with their own home folder."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lab import LabServer
from lab.leaks import LeakWatch
from moorage.answers.model import Answers
from moorage.answers.secrets import Secret
from moorage.deploy.deployment import Deployment
from moorage.deploy.events import Event, LogLine, StepBegan
from moorage.deploy.plan.consequences import accepting
from moorage.deploy.plan.plan import Plan
from moorage.deploy.run.report import ApplyReport
from moorage.deploy.verify.registry_client import RegistryClient
from moorage.deploy.verify.verify import Verification
from moorage.errors import SecretName
from moorage.servers.transport import HostKey

DOMAIN = "registry.example.test"
# Container engines store the environment of running containers; only root can read it.
ENGINE_STATE = (
    "/var/lib/docker/containers/*",
    "/var/lib/docker/*/containers/*",
    "/var/lib/containerd/*",
    "/run/containerd/*",
    "/run/docker/*",
    "/run/crun/*",
    "/run/runc/*",
    "/var/lib/containers/storage/*",
)
SECRET_FILES = (
    "/etc/moorage/registry/registry.env",
    "/etc/nginx/moorage/htpasswd",
    "/etc/nginx/moorage/htpasswd.disabled",
)
ACME_FILES = ("/etc/moorage/acme/certbot.ini", "/etc/moorage/acme/dns.ini")


@dataclass
class Outcome:
    """The outcome of one apply."""

    plan: Plan
    report: ApplyReport
    events: list[Event]
    verification: Verification | None = None

    @property
    def log(self) -> str:
        """All log lines of all servers."""
        return "\n".join(event.text for event in self.events if isinstance(event, LogLine))

    @property
    def steps(self) -> list[str]:
        """The started steps, in order."""
        return [event.step for event in self.events if isinstance(event, StepBegan)]


@dataclass
class Operator:
    """Runs Moorage and remembers the passwords it generated.

    Attributes:
        home: The folder of its state and known_hosts.
        passwords: Passwords by user.
        applying: The current or last plan.
    """

    home: Path
    leaks: LeakWatch
    monkeypatch: pytest.MonkeyPatch
    passwords: dict[str, str] = field(default_factory=dict)
    applying: Deployment | None = None

    def accept_host_key(self, key: HostKey) -> bool:
        """Accept every host key."""
        return True

    def secret(
        self, what: SecretName, server: str | None, rejected: Secret | None = None
    ) -> Secret | None:
        """Return no secret."""
        return None

    def answers(self, machines: Sequence[LabServer], /, **parts: Any) -> Answers:
        """Return answers for servers: root by key, one user, a private CA, and the given parts."""
        document: dict[str, Any] = {
            "registry": {"domain": DOMAIN},
            "servers": [
                {"host": server.address, "user": "root", "key": str(server.key)}
                for server in machines
            ],
            "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
        }
        for name, part in parts.items():
            if isinstance(part, dict) and isinstance(document.get(name), dict):
                document[name] = {**document[name], **part}
            else:
                document[name] = part
        return Answers.model_validate(document)

    def open(
        self,
        answers: Answers,
        on_event: Callable[[Event], None] = lambda event: None,
        limit: Sequence[str] = (),
    ) -> Deployment:
        """Open a deployment as this operator."""
        return Deployment(answers, self, on_event, limit=limit)

    def plan(self, answers: Answers) -> Plan:
        """Plan without changing anything."""
        with self.open(answers) as deployment:
            return deployment.plan()

    def apply(
        self,
        answers: Answers,
        *,
        verify: bool = False,
        large_upload: bool = False,
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> Outcome:
        """Plan, accept the consequences, apply and optionally verify.

        Skips the large upload where it tests nothing new: with three servers and a simulated S3
        it takes a minute.
        """
        events: list[Event] = []

        def take(event: Event) -> None:
            events.append(event)
            on_event(event)

        with self.open(answers, take) as deployment:
            self.applying = deployment
            plan = deployment.plan()
            report = deployment.apply(plan, accepting(plan.consequences))
            self.remember_secrets(plan, report)
            verification = None
            if verify and report.is_good:
                verification = deployment.verify(plan, large_upload=large_upload)
        outcome = Outcome(plan, report, events, verification)
        self.leaks.watch_output("events", repr(events))
        self.leaks.watch_output("plan", repr(plan) + "".join(
            change.diff for server in plan.servers for change in server.changes
        ))  # fmt: skip
        return outcome

    def install(self, answers: Answers, **options: Any) -> Outcome:
        """Apply and fail if it does not succeed; takes the options of :meth:`apply`."""
        outcome = self.apply(answers, **options)
        assert outcome.report.is_good, (outcome.report, outcome.log)
        if options.get("verify"):
            assert outcome.verification is not None
            bad = [check for check in outcome.verification.checks if check.status != "good"]
            assert not bad, bad
        return outcome

    def remember_secrets(self, plan: Plan, report: ApplyReport) -> None:
        """Remember generated passwords and watch for all secrets of a plan."""
        for user, password in report.generated.items():
            self.passwords[user] = password.reveal()
            self.leaks.add(password.reveal(), label=f"the password of {user}")
        materials = plan.materials
        registry_env = (SECRET_FILES[0], *ENGINE_STATE)
        self.leaks.add(materials.http_secret.reveal(), registry_env, label="http.secret")
        self.leaks.add(
            materials.auth_key.reveal(), ("/etc/nginx/moorage/auth_key.conf",), label="auth key"
        )
        for path, secret in materials.secrets.items():
            places = ACME_FILES if path.startswith("ssl.acme.") else registry_env
            self.leaks.add(secret.reveal(), places, label=path)
        for user in materials.users:
            self.leaks.add(user.hash, SECRET_FILES[1:], label=f"the hash of {user.name}")
        if materials.certificate_key is not None:
            # A line from the middle: the first and last lines are not secret.
            middle = materials.certificate_key.reveal().splitlines()[1]
            kept = str(self.home / "*")
            self.leaks.add(middle, ("/etc/nginx/moorage/tls/key.pem", kept), label="TLS key")

    def client(self, server: LabServer, password: str | None = None) -> RegistryClient:
        """Return a client of one server that trusts the private CA and is logged in as ci.

        Args:
            server: The server.
            password: The password; the one that was generated by default.
        """
        authority = next((self.home / "state" / "ca").glob("*/ca.pem")).read_bytes()
        secret = Secret(password or self.passwords["ci"])
        return RegistryClient(server.address, 443, DOMAIN, True, authority, "ci", secret)

    def status(
        self,
        server: LabServer,
        path: str = "/v2/",
        *,
        user: str | None = "ci",
        password: str | None = None,
        method: str = "GET",
        domain: str = DOMAIN,
    ) -> int:
        """Return the HTTP status of a request with curl on a server; 0 without an answer."""
        login = ""
        if user is not None:
            secret = password if password is not None else self.passwords[user]
            pair = f"{user}:{secret}".replace("\\", r"\\")
            login = f'user = "{pair}"\n'
        # curl reads the login from standard input, so that it is not in an argument list.
        completed = subprocess.run(
            ["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", "-m", "20", "-X", method,
             "--resolve", f"{domain}:443:{server.address}", "-K", "-", f"https://{domain}{path}"],
            input=login, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return int(completed.stdout or 0)

    def trust(self, client: LabServer, server: LabServer) -> None:
        """Make a client resolve the registry to a server and trust its private CA."""
        trust_registry(client, server, next((self.home / "state" / "ca").glob("*/ca.pem")))

    def log_in(self, client: LabServer, user: str = "ci") -> None:
        """Log in with a real Docker engine; skopeo uses the same file."""
        log_in(client, user, self.passwords[user])


def trust_registry(
    client: LabServer, server: LabServer, authority: Path, domain: str = DOMAIN
) -> None:
    """Make a client resolve the registry to a server and trust a certificate authority."""
    certificate = authority.read_text()
    client.write_file(f"/etc/docker/certs.d/{domain}/ca.crt", certificate)
    client.write_file(f"/etc/containers/certs.d/{domain}/ca.crt", certificate)
    hosts = "".join(
        line
        for line in client.read_file("/etc/hosts").splitlines(keepends=True)
        if domain not in line
    )
    client.write_file("/etc/hosts", f"{hosts}{server.address} {domain}\n")


def log_in(client: LabServer, user: str, password: str, domain: str = DOMAIN) -> None:
    """Log in with a real Docker engine; skopeo uses the same file."""
    command = ["docker", "login", "-u", user, "--password-stdin", domain]
    for _ in range(4):
        said = client.run(command, stdin=password, check=False)
        if "no such host" not in said.stderr:
            break
        time.sleep(2)  # the engine looks at /etc/hosts every five seconds
    assert said.returncode == 0, said.stderr


def push(client: LabServer, archive: Path, name: str, domain: str = DOMAIN) -> str:
    """Push an image archive with a real Docker engine; return the digest it printed."""
    client.inside("/tmp/image.tar").write_bytes(archive.read_bytes())
    client.run(["docker", "load", "-q", "-i", "/tmp/image.tar"])
    source = json.loads(_manifest(archive))[0]["RepoTags"][0]
    target = f"{domain}/{name}"
    client.run(["docker", "tag", source, target])
    output = client.run(["docker", "push", target]).stdout
    return next(word for word in output.split() if word.startswith("sha256:"))


def inspect_digest(client: LabServer, reference: str) -> str:
    """Return the digest that skopeo reports for a reference such as domain/name:tag."""
    return client.run(
        ["skopeo", "inspect", "--authfile", "/root/.docker/config.json", "--format",
         "{{.Digest}}", f"docker://{reference}"]
    ).stdout.strip()  # fmt: skip


def copy_back(client: LabServer, reference: str) -> None:
    """Pull an image with skopeo into a folder; raises if a digest does not match."""
    client.run(
        ["sh", "-c", 'rm -rf /tmp/pulled && skopeo copy -q --authfile /root/.docker/config.json '
         '"docker://$1" dir:/tmp/pulled', "sh", reference]
    )  # fmt: skip


def _manifest(archive: Path) -> str:
    return subprocess.run(
        ["tar", "-xOf", str(archive), "manifest.json"], capture_output=True, text=True, check=True
    ).stdout
