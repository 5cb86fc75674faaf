"""The lines that clients of the registry need, ready to copy. None holds a secret."""

from __future__ import annotations

from dataclasses import dataclass

from moorage.answers.model import Answers
from moorage.errors import AnswersError
from tui.draft import Draft


@dataclass(frozen=True)
class Snippet:
    """Lines for one kind of client.

    Attributes:
        title: Which client.
        text: The lines.
    """

    title: str
    text: str


def registry_address(answers: Answers) -> str:
    """Return what people put before their images: the name, with the port when it is not 443."""
    registry = answers.registry
    usual = 80 if answers.ssl.mode == "none" else 443
    return registry.domain if registry.port == usual else f"{registry.domain}:{registry.port}"


def address_of(draft: Draft) -> str:
    """Return the same of answers that may not be finished."""
    try:
        return registry_address(draft.answers())
    except AnswersError:
        return draft.domain


def user_of(answers: Answers) -> str:
    """Return who the lines log in as: the first who may push, else the first."""
    users = answers.credentials.users
    return next((each.name for each in users if each.access == "push"), users[0].name)


def trust_for_docker(address: str) -> str:
    """Return the lines that make Docker trust the private CA, with ca.pem in the folder."""
    folder = f"/etc/docker/certs.d/{address}"
    return f"sudo mkdir -p {folder}\nsudo cp ca.pem {folder}/ca.crt"


def trust_for_system(domain: str) -> str:
    """Return the lines that make a Debian or Ubuntu machine trust the private CA."""
    return (
        f"sudo cp ca.pem /usr/local/share/ca-certificates/{domain}.crt\nsudo update-ca-certificates"
    )


def snippets(answers: Answers) -> list[Snippet]:
    """Return the lines for every kind of client but Docker, whose lines come first on the screen.

    Args:
        answers: What was deployed.
    """
    address, user = registry_address(answers), user_of(answers)
    has_own_ca = answers.ssl.mode == "private_ca"
    return [
        Snippet("Podman, Buildah, skopeo", _podman(address, user, has_own_ca=has_own_ca)),
        Snippet("containerd (hosts.toml)", _containerd(address, has_own_ca=has_own_ca)),
        Snippet("Kubernetes pull secret, after docker login", _kubernetes()),
        Snippet("GitHub Actions", _actions(address, user)),
    ]


def _podman(address: str, user: str, *, has_own_ca: bool) -> str:
    folder = f"/etc/containers/certs.d/{address}"
    trust = f"sudo mkdir -p {folder}\nsudo cp ca.pem {folder}/ca.crt\n" if has_own_ca else ""
    return f"{trust}podman login {address} -u {user}"


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
    # From the file docker login wrote: the password is in no argument list.
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
