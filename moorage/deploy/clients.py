"""Text for clients of the registry, ready to paste. None of it contains a secret.

The shell lines are one group each: the shell reads all of them before it runs the first, so that
sudo's and the login's prompts do not read the lines that were pasted behind them. They run in sh,
bash and zsh, and can be repeated.
"""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moorage.answers.model import Answers, User


_SUDO = '[ "$(id -u)" = 0 ] && sudo= || sudo=sudo'


@dataclass(frozen=True)
class Access:
    """The facts a client needs to reach the registry and log in.

    Attributes:
        registry: The prefix of image names.
        domain: The registry's name.
        user: The user to log in as.
        authority: PEM of the CA that clients have to trust; empty if they trust it already.
        is_limited: Whether that CA can only vouch for the registry's name.
        addresses: The addresses for /etc/hosts; empty unless the registry's name does not resolve.
    """

    registry: str
    domain: str
    user: str
    authority: str = ""
    is_limited: bool = False
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClientSetup:
    """The setup of one kind of client.

    Attributes:
        client: The client, a key of :data:`CLIENTS`.
        title: Its name, for display.
        text: The text to paste.
        note: What else is needed; may be empty.
    """

    client: str
    title: str
    text: str
    note: str = ""


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


def access_of(
    answers: Answers,
    authority: bytes | None,
    addresses: Sequence[str] = (),
    user: str | None = None,
) -> Access:
    """Return what clients need.

    Args:
        answers: The deployed answers.
        authority: PEM of the CA that clients have to trust besides the public ones, or None.
        addresses: The addresses for /etc/hosts, if the registry's name does not resolve.
        user: The user to log in as; None for :func:`first_user`.
    """
    from cryptography.hazmat.primitives.serialization import Encoding

    from moorage.deploy.certificates.ca import is_limited_to
    from moorage.desired.certificates import read_chain

    # It can come from a server: nothing beside the certificates goes into lines for a shell.
    chain = read_chain(authority) if authority else []
    return Access(
        registry_name(answers),
        answers.registry.domain,
        user or first_user(answers),
        b"".join(each.public_bytes(Encoding.PEM) for each in chain).decode().strip(),
        all(is_limited_to(each, answers.registry.domain) for each in chain),
        tuple(addresses),
    )


def client_setups(access: Access) -> list[ClientSetup]:
    """Return the setup of each kind of client."""
    setups = []
    for client, (title, setup) in CLIENTS.items():
        text, note = setup(access)
        if text:
            setups.append(ClientSetup(client, title, text, note))
    return setups


def _docker(access: Access) -> tuple[str, str]:
    folder = docker_folder(access.registry)
    return _on_a_client(access, f"{folder}/ca.crt", f"docker login {_login(access)}"), ""


def _podman(access: Access) -> tuple[str, str]:
    file = f"/etc/containers/certs.d/{access.registry}/ca.crt"
    return _on_a_client(access, file, f"podman login {_login(access)}"), ""


def _containerd(access: Access) -> tuple[str, str]:
    folder = f"/etc/containerd/certs.d/{access.registry}"
    url = f"https://{access.registry}"
    hosts = [
        f'server = "{url}"',
        f'[host."{url}"]',
        '  capabilities = ["pull", "resolve", "push"]',
        *([f'  ca = "{folder}/ca.crt"'] if access.authority else []),
    ]
    user = shlex.quote(access.user)
    pull = f"ctr images pull --hosts-dir /etc/containerd/certs.d --user {user}"
    how = shlex.quote(f"To pull: {pull} {access.registry}/IMAGE")
    lines = [
        *_written(f"{folder}/hosts.toml", "\n".join(hosts)),
        "if command -v nerdctl >/dev/null",
        f"then nerdctl login {_login(access)}",
        f"else printf '%s\\n' {how}",
        "fi",
    ]
    note = (
        "For Kubernetes on containerd 1.x, /etc/containerd/config.toml also needs: "
        '[plugins."io.containerd.grpc.v1.cri".registry] config_path = "/etc/containerd/certs.d"'
    )
    return _on_a_client(access, f"{folder}/ca.crt", *lines), note


def _kubernetes(access: Access) -> tuple[str, str]:
    user = shlex.quote(access.user)
    # printf is part of the shell, so the password is in no argument list.
    config = f'{{"auths":{{"{access.registry}":{{"auth":"%s"}}}}}}'
    lines = [
        f"printf 'Password of %s: ' {user}",
        "trap 'stty echo' 0",
        "stty -echo",
        "IFS= read -r password",
        "echo",
        f"login=$(printf '%s:%s' {user} \"$password\" | base64 | tr -d '\\n')",
        "kubectl delete secret registry --ignore-not-found",
        f"printf '{config}' \"$login\" | kubectl create secret generic registry \\",
        "  --type=kubernetes.io/dockerconfigjson --from-file=.dockerconfigjson=/dev/stdin",
    ]
    note = (
        "Creates the pull secret where kubectl works. In the pod's spec: "
        "imagePullSecrets: [{name: registry}]."
    )
    if access.authority or access.addresses:
        note += " On each node, paste the lines for containerd first."
    return _group(lines), note


def _actions(access: Access) -> tuple[str, str]:
    steps = (
        "- uses: docker/login-action@v3\n"
        "  with:\n"
        f"    registry: {access.registry}\n"
        f"    username: '{access.user}'\n"
        "    password: ${{ secrets.REGISTRY_PASSWORD }}"
    )
    if lines := _reaches(access, f"{docker_folder(access.registry)}/ca.crt"):
        script = textwrap.indent("\n".join([_SUDO, *lines]), "    ")
        steps = f"- name: Trust the registry\n  run: |\n{script}\n{steps}"
    return steps, "Store the password as the secret REGISTRY_PASSWORD."


def _system(access: Access) -> tuple[str, str]:
    # Other programs would trust an unlimited CA for any name, and it can come from a server.
    if not access.authority or not access.is_limited:
        return "", ""
    file = f"/usr/local/share/ca-certificates/{access.domain}.crt"
    return _on_a_client(access, file, "$sudo update-ca-certificates"), ""


CLIENTS: dict[str, tuple[str, Callable[[Access], tuple[str, str]]]] = {
    "docker": ("Docker", _docker),
    "podman": ("Podman, Buildah, skopeo, CRI-O", _podman),
    "containerd": ("containerd, nerdctl", _containerd),
    "kubernetes": ("Kubernetes", _kubernetes),
    "actions": ("GitHub Actions", _actions),
    "system": ("curl and other programs, on Debian or Ubuntu", _system),
}
"""The clients by their names on the command line, with their titles."""


def _login(access: Access) -> str:
    return f"{access.registry} -u {shlex.quote(access.user)}"


def _on_a_client(access: Access, authority_file: str, *then: str) -> str:
    return _group([*_reaches(access, authority_file), *then])


def _reaches(access: Access, authority_file: str) -> list[str]:
    """Return the lines that make the registry's name known and its certificate trusted."""
    lines = _written(authority_file, access.authority) if access.authority else []
    if access.addresses:
        # Only where the client cannot resolve the name either.
        lines += [
            f"getent hosts {access.domain} >/dev/null || {{",
            f"printf '%s {access.domain}\\n' {' '.join(access.addresses)} |",
            "  $sudo tee -a /etc/hosts",
            # Docker reads the file every five seconds. A comment in the lines would be an error in
            # an interactive zsh.
            "echo 'Waiting until Docker has read /etc/hosts'",
            "sleep 6",
            "}",
        ]
    return lines


def _written(file: str, content: str) -> list[str]:
    folder = file.rpartition("/")[0]
    return [f"$sudo mkdir -p {folder}", f"$sudo tee {file} >/dev/null <<'END'", content, "END"]


def _group(lines: Sequence[str]) -> str:
    if len(lines) == 1:
        return lines[0]
    is_root = [_SUDO] if any("$sudo" in line for line in lines) else []
    return "\n".join(["(", "set -e", *is_root, *lines, ")"])
