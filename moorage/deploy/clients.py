"""Lines for clients of the registry, ready to copy. None of them contains a secret."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from moorage.answers.model import Answers, User


@dataclass(frozen=True)
class Snippet:
    """Lines for one kind of client.

    Attributes:
        title: The client.
        text: The lines.
    """

    title: str
    text: str


def registry_name(answers: Answers) -> str:
    """Return the prefix of image names: the domain, and the port if it is not the default."""
    registry = answers.registry
    # Without TLS there is a load balancer in front; its port is unknown, but usually 443.
    if answers.ssl.mode == "none" or registry.port == 443:
        return registry.domain
    return f"{registry.domain}:{registry.port}"


def first_user(answers: Answers) -> str:
    """Return the user for login examples: preferably one that can push to all repositories."""
    users = answers.credentials.users

    def rank(user: User) -> tuple[bool, bool, bool]:
        return user.disabled, user.access != "push", bool(user.repositories)

    return min(users, key=rank).name


def login_command(answers: Answers) -> str:
    """Return the command to log in with Docker."""
    return f"docker login {registry_name(answers)} -u {shlex.quote(first_user(answers))}"


def docker_folder(address: str) -> str:
    """Return the folder where Docker looks for the private CA, as ca.crt."""
    return f"/etc/docker/certs.d/{address}"


def trust_for_docker(address: str, ca_file: Path | str = "ca.pem") -> str:
    """Return the lines that make Docker trust the private CA.

    Args:
        address: The registry's name.
        ca_file: The CA's certificate.
    """
    return _put_into(docker_folder(address), ca_file)


def _put_into(folder: str, ca_file: Path | str) -> str:
    return f"sudo mkdir -p {folder}\nsudo cp {ca_file} {folder}/ca.crt"


def trust_for_system(domain: str) -> str:
    """Return the lines that make a Debian or Ubuntu machine trust the private CA."""
    return (
        f"sudo cp ca.pem /usr/local/share/ca-certificates/{domain}.crt\nsudo update-ca-certificates"
    )


def snippets(answers: Answers) -> list[Snippet]:
    """Return the lines for all kinds of clients except Docker, which is shown separately.

    Args:
        answers: The deployed answers.
    """
    address, user = registry_name(answers), first_user(answers)
    has_own_ca = answers.ssl.mode == "private_ca"
    return [
        Snippet("Podman, Buildah, skopeo", _podman(address, user, has_own_ca=has_own_ca)),
        Snippet("containerd (hosts.toml)", _containerd(address, has_own_ca=has_own_ca)),
        Snippet("Kubernetes pull secret, after docker login", _kubernetes()),
        Snippet("GitHub Actions", _actions(address, user)),
    ]


def _podman(address: str, user: str, *, has_own_ca: bool) -> str:
    trust = _put_into(f"/etc/containers/certs.d/{address}", "ca.pem") + "\n" if has_own_ca else ""
    return f"{trust}podman login {address} -u {shlex.quote(user)}"


def _containerd(address: str, *, has_own_ca: bool) -> str:
    folder = f"/etc/containerd/certs.d/{address}"
    authority = f'  ca = "{folder}/ca.pem"\n' if has_own_ca else ""
    return (
        f"# {folder}/hosts.toml\n"
        f'server = "https://{address}"\n'
        f'[host."https://{address}"]\n'
        '  capabilities = ["pull", "resolve", "push"]\n'
        f"{authority}"
    ).rstrip()


def _kubernetes() -> str:
    # Use the file that docker login wrote, so that the password is not in any argument list.
    return (
        "kubectl create secret generic registry \\\n"
        "  --type=kubernetes.io/dockerconfigjson \\\n"
        "  --from-file=.dockerconfigjson=$HOME/.docker/config.json\n"
        "# in the pod's spec:\n"
        "imagePullSecrets: [{name: registry}]"
    )


def _actions(address: str, user: str) -> str:
    return (
        "- uses: docker/login-action@v3\n"
        "  with:\n"
        f"    registry: {address}\n"
        f"    username: {user}\n"
        "    password: ${{ secrets.REGISTRY_PASSWORD }}"
    )
