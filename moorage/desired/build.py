"""Build the desired state of a server from the answers."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from importlib.resources import files

from moorage.answers.model import Answers, Registry
from moorage.answers.secrets import Secret
from moorage.desired import layout
from moorage.desired.acme import (
    acme_files,
    acme_folders,
    acme_packages,
    certificate_order,
)
from moorage.desired.collect import collect_files, is_scheduled
from moorage.desired.image_names import host_of
from moorage.desired.inherited import undo
from moorage.desired.layout import Slot
from moorage.desired.limits import most_pulls
from moorage.desired.registry import (
    config,
    config_file,
    environment_file,
    has_cors,
    has_debug_listener,
    process_variables,
    slot_file,
)
from moorage.desired.render import render
from moorage.desired.state import (
    CertificateOrder,
    DesiredFile,
    DesiredFolder,
    DesiredState,
    Effect,
    Image,
    Listen,
    Materials,
    Package,
    Platform,
)
from moorage.desired.users import RegistryUser, user_files
from moorage.registry_keys import registry_version
from templates.load import shell_script

_LONGEST_HASHED = 40
_NJS = Package("libnginx-mod-http-js", "caches logins", ("nginx-module-njs",))
_ALL_OF_IPV4 = "0.0.0.0"  # noqa: S104 # from the answers


def desired(answers: Answers, materials: Materials, platform: Platform, slot: Slot) -> DesiredState:
    """Return the desired state of one server.

    Args:
        answers: The operator's answers.
        materials: Secrets, hashes and certificates.
        platform: The server's platform.
        slot: The registry slot to render for.
    """
    files = (
        *_registry_files(answers, materials, platform, slot),
        *_activity_files(),
        *collect_files(answers, platform.store_id),
        *_files_of_nginx_unit(),
        *_needrestart_files(),
        *acme_files(answers, materials),
        *_nginx_files(answers, materials, platform, slot),
        *_hook_files(materials),
    )
    return desired_with_files(answers, platform, slot, files, _image(answers, materials))


def desired_with_files(
    answers: Answers,
    platform: Platform,
    slot: Slot,
    files: tuple[DesiredFile, ...],
    image: Image | None,
) -> DesiredState:
    """Return the desired state of one server whose files are known.

    Args:
        answers: The answers that the files are for.
        platform: The server's platform.
        slot: The registry slot the files are for.
        files: All files, in an order in which each refers only to earlier ones.
        image: The registry's container image, or None for the package.
    """
    return DesiredState(
        slot=slot,
        version=registry_version(answers),
        domain=answers.registry.domain,
        listens=(*_listens(answers, platform), *_listens_on_80(answers, platform)),
        tls=answers.ssl.mode != "none",
        account=layout.ACCOUNT,
        storage_folder=_storage_folder(answers),
        bucket=_bucket(answers),
        store_id=platform.store_id if answers.storage.driver == "filesystem" else "",
        has_debug_listener=has_debug_listener(config(answers, slot)),
        packages=_packages(answers, platform),
        folders=_folders(answers),
        files=files,
        image=image,
        remembers_logins=platform.has_njs,
        order=certificate_order(answers, platform),
        calendar=answers.collect.when or "",
    )


def listening_ports(answers: Answers) -> tuple[int, ...]:
    """Return nginx's public ports."""
    return (answers.registry.port, *((80,) if _needs_port_80(answers) else ()))


def _listens(answers: Answers, platform: Platform) -> tuple[Listen, ...]:
    registry = answers.registry
    tls = answers.ssl.mode != "none"
    return tuple(
        Listen(address, registry.port, tls, registry.proxy_protocol)
        for address in _addresses(answers, platform, registry.port)
    )


def _listens_on_80(answers: Answers, platform: Platform) -> tuple[Listen, ...]:
    if not _needs_port_80(answers):
        return ()
    return tuple(Listen(address, 80) for address in _addresses(answers, platform, 80))


def _addresses(answers: Answers, platform: Platform, port: int) -> tuple[str, ...]:
    if answers.registry.listen:
        chosen = (f"[{each}]" if ":" in each else each for each in answers.registry.listen)
        return tuple("*" if each == _ALL_OF_IPV4 else each for each in chosen)
    everywhere = ("*", "[::]") if platform.ipv6 else ("*",)
    return platform.addresses.get(port, everywhere)


def is_asked_on_80(answers: Answers) -> bool:
    """Return whether the ACME authority connects to port 80."""
    return answers.ssl.mode == "acme" and answers.ssl.acme.challenge == "http-01"


def _needs_port_80(answers: Answers) -> bool:
    redirects = answers.ssl.mode != "none" and answers.registry.redirect_http
    return redirects or is_asked_on_80(answers)


def _packages(answers: Answers, platform: Platform) -> tuple[Package, ...]:
    packages = [
        Package("nginx", "serves the registry", ("nginx-full", "nginx-light", "nginx-extras")),
        Package("openssl", "checks the certificate after the switch"),
        Package("python3-minimal", "notes who pushed and pulled what"),
    ]
    if platform.has_njs:
        packages.insert(1, _NJS)
    if is_scheduled(answers):
        packages.append(Package("python3", ("collect.when",)))
    reason = ("registry.runtime",)
    match answers.registry.runtime:
        case "package":
            packages.append(Package("docker-registry", reason))
        case "docker":
            packages.append(Package("docker.io", reason, ("docker-ce", "moby-engine")))
            if platform.os_id == "debian" and platform.os_version not in {"11", "12"}:
                packages.append(Package("docker-cli", reason, ("docker-ce-cli", "moby-cli")))
        case "podman":
            packages.append(Package("podman", reason))
            # Debian's podman needs crun even if runc is installed.
            packages.append(Package("crun", reason))
    return (*packages, *acme_packages(answers))


def _folders(answers: Answers) -> tuple[DesiredFolder, ...]:
    folders = [
        DesiredFolder(layout.ETC, "holds the configuration"),
        DesiredFolder(layout.REGISTRY_ETC, "holds the registry's configuration"),
        DesiredFolder(f"{layout.REGISTRY_ETC}/blue", "the registry's configuration, slot blue"),
        DesiredFolder(f"{layout.REGISTRY_ETC}/green", "the registry's configuration, slot green"),
        DesiredFolder(layout.NGINX_ETC, "holds nginx's files"),
        DesiredFolder(layout.NGINX_DROP_INS, "holds settings of nginx's unit"),
        DesiredFolder(layout.NEEDRESTART_ETC, "holds settings of needrestart"),
        DesiredFolder(layout.NEEDRESTART_SCRIPTS, "holds commands of needrestart"),
    ]
    if answers.ssl.mode != "none":
        folders.append(DesiredFolder(layout.TLS_ETC, "holds the certificate", mode=0o700))
    if answers.hooks:
        folders.append(DesiredFolder(layout.HOOKS_ETC, "holds your hooks", mode=0o700))
    folders += acme_folders(answers)
    if answers.storage.driver == "filesystem":
        folders.append(
            DesiredFolder(
                answers.storage.filesystem.path,
                ("storage.filesystem.path",),
                mode=0o750,
                owner=layout.ACCOUNT,
                group=layout.ACCOUNT,
            )
        )
    return tuple(folders)


def _registry_files(
    answers: Answers, materials: Materials, platform: Platform, slot: Slot
) -> list[DesiredFile]:
    return [
        DesiredFile(
            layout.REGISTRY_ENV,
            environment_file(answers, materials),
            Effect.REGISTRY,
            "the registry's secrets",
            mode=0o600,
        ),
        DesiredFile(
            layout.config_path(slot),
            config_file(answers, slot),
            Effect.REGISTRY,
            ("registry.settings", "registry.environment", "storage"),
        ),
        DesiredFile(
            layout.slot_env_path(slot),
            slot_file(answers, materials, platform, slot),
            Effect.REGISTRY,
            "the slot's settings",
        ),
        _script(
            layout.SLOT_SCRIPT,
            "slot.sh",
            Effect.REGISTRY,
            "restricts access to the registry to nginx",
        ),
        DesiredFile(layout.UNIT, _unit(answers, materials), Effect.REGISTRY, ("registry.runtime",)),
        *_upload_files(answers),
    ]


def _upload_files(answers: Answers) -> list[DesiredFile]:
    """Return the files of the service that removes abandoned uploads from the disk."""
    folder = _storage_folder(answers)
    if folder is None:
        return []
    service = render(
        "systemd/moorage-uploads.service.j2",
        storage_folder=folder,
        store_marker=layout.STORE_MARKER,
        uploads_script=layout.UPLOADS_SCRIPT,
        account=layout.ACCOUNT,
    )
    why = "removes abandoned uploads"
    return [
        _script(layout.UPLOADS_SCRIPT, "uploads.sh", Effect.REGISTRY, why),
        DesiredFile(layout.UPLOADS_SERVICE, service, Effect.REGISTRY, why),
        DesiredFile(
            layout.UPLOADS_TIMER,
            render("systemd/moorage-uploads.timer"),
            Effect.REGISTRY,
            why,
        ),
    ]


def activity_script() -> bytes:
    """Return the program that notes who pushed and pulled what; servers run it by itself."""
    return files("moorage.images").joinpath("activity.py").read_bytes()


def prove_script() -> bytes:
    """Return the program with which runs read images through a new slot."""
    return files("moorage.images").joinpath("prove.py").read_bytes()


def _activity_files() -> list[DesiredFile]:
    """Return the files of the service that notes who pushed and pulled what."""
    service = render(
        "systemd/moorage-activity.service.j2",
        script=layout.ACTIVITY_SCRIPT,
        state=layout.ACTIVITY.removeprefix("/var/lib/"),
    )
    timer = render("systemd/moorage-activity.timer")
    why = "notes who pushed and pulled what"
    return [
        DesiredFile(layout.ACTIVITY_SCRIPT, activity_script(), Effect.NOTHING, why, mode=0o755),
        DesiredFile(layout.ACTIVITY_SERVICE, service, Effect.REGISTRY, why),
        DesiredFile(layout.ACTIVITY_TIMER, timer, Effect.REGISTRY, why),
    ]


def _unit(answers: Answers, materials: Materials) -> bytes:
    registry = answers.registry
    engine = None if registry.runtime == "package" else registry.runtime
    environment = environment_file(answers, materials).decode()
    names = [line.partition("=")[0] for line in environment.splitlines() if line[:1] != "#"]
    names += [*process_variables(answers), "GOMEMLIMIT"]
    is_traced = any(name.startswith("OTEL_") for name in registry.environment)
    turns_tracing_off = registry_version(answers) != "2.8" and not is_traced
    if turns_tracing_off:
        names.append("OTEL_TRACES_EXPORTER")
    return render(
        "systemd/moorage-registry@.service.j2",
        engine=engine,
        engine_path=f"/usr/bin/{engine}",
        log_driver="none" if engine == "docker" else "passthrough",
        environment_file=layout.REGISTRY_ENV,
        environment_names=names,
        registry_etc=layout.REGISTRY_ETC,
        slot_script=layout.SLOT_SCRIPT,
        sockets=layout.SOCKETS,
        storage_folder=_storage_folder(answers),
        account=layout.ACCOUNT,
        turns_tracing_off=turns_tracing_off,
    )


def _script(path: str, name: str, effect: Effect, reason: str) -> DesiredFile:
    return DesiredFile(path, shell_script(name).encode(), effect, reason, mode=0o755)


def _storage_folder(answers: Answers) -> str | None:
    return answers.storage.filesystem.path if answers.storage.driver == "filesystem" else None


def _bucket(answers: Answers) -> str:
    s3 = answers.storage.s3
    return s3.bucket if answers.storage.driver == "s3" and s3 is not None else ""


def _files_of_nginx_unit() -> list[DesiredFile]:
    return [
        _script(
            layout.CLEAR_SOCKETS,
            "run/clear-sockets.sh",
            Effect.NOTHING,
            "lets nginx start again after a crash",
        ),
        DesiredFile(
            layout.NGINX_DROP_IN,
            render("systemd/nginx.conf.j2", clear_sockets=layout.CLEAR_SOCKETS),
            Effect.NGINX,
            "restarts nginx after a crash",
        ),
    ]


def _needrestart_files() -> list[DesiredFile]:
    """Return what keeps needrestart, if it is or will be installed, from failing requests."""
    reason = "keeps updates of libraries from failing requests"
    config = render("needrestart/moorage.conf")
    return [
        DesiredFile(layout.NEEDRESTART_CONFIG, config, Effect.NOTHING, reason),
        _script(layout.NEEDRESTART_NGINX, "restart_nginx.sh", Effect.NOTHING, reason),
    ]


def _nginx_files(
    answers: Answers, materials: Materials, platform: Platform, slot: Slot
) -> list[DesiredFile]:
    registry = answers.registry
    tls = answers.ssl.mode != "none"
    files = []
    if materials.certificate is not None and materials.certificate_key is not None:
        files += [
            DesiredFile(
                layout.TLS_KEY,
                materials.certificate_key.reveal().encode(),
                Effect.NGINX,
                ("ssl",),
                mode=0o600,
            ),
            DesiredFile(layout.TLS_CERTIFICATE, materials.certificate, Effect.NGINX, ("ssl",)),
        ]
    if platform.has_njs:
        files += [
            desired_auth_key(materials.auth_key),
            DesiredFile(
                layout.AUTH_SCRIPT,
                render("nginx/auth.js", nginx_etc=layout.NGINX_ETC),
                Effect.NGINX,
                "caches logins, and hides which user names exist",
            ),
        ]
    files += [
        *desired_user_files(materials.users, platform.web_group),
        DesiredFile(
            layout.UPSTREAM,
            render("nginx/upstream.conf.j2", slot=slot, socket=layout.socket_path(slot)),
            Effect.NGINX,
            "the active slot",
        ),
        DesiredFile(
            layout.INHERITED,
            render("nginx/inherited.conf.j2", inherited=undo(platform.http_directives)),
            Effect.NGINX,
            "resets settings from nginx.conf",
        ),
        DesiredFile(
            layout.NGINX_SITE,
            render(
                "nginx/site.conf.j2",
                domain=registry.domain,
                server_name=_server_name(registry.domain),
                listens=_listens(answers, platform),
                tls=tls,
                checks=layout.CHECKS,
                nginx_etc=layout.NGINX_ETC,
                caches_logins=platform.has_njs,
                has_cors=has_cors(answers),
                most_pulls=most_pulls(platform.memory),
                hold=layout.HOLD,
                condemned=layout.CONDEMNED,
                **_tls_settings(answers, platform),
            ),
            Effect.NGINX,
            ("registry.domain", "registry.port", "ssl"),
        ),
    ]
    if _needs_port_80(answers):
        files.append(_port_80(answers, platform))
    return files


def _hook_files(materials: Materials) -> list[DesiredFile]:
    return [
        DesiredFile(layout.hook_path(name), script, Effect.NOTHING, ("hooks[].script",), mode=0o700)
        for name, script in materials.hooks.items()
    ]


def desired_user_files(users: Sequence[RegistryUser], web_group: str) -> list[DesiredFile]:
    """Return the files with the users.

    Args:
        users: The users.
        web_group: The group of nginx's workers, which read the password hashes.
    """
    who = ("credentials.users",)
    may = ("credentials.users[].access", "credentials.users[].repositories")
    described = {
        layout.HTPASSWD: (who, 0o640, web_group),
        layout.HTPASSWD_DISABLED: (("credentials.users[].disabled",), 0o600, "root"),
        layout.ACCESS_MAP: (may, 0o600, "root"),
    }
    files = []
    for path, content in user_files(users).items():
        reason, mode, group = described[path]
        files.append(DesiredFile(path, content, Effect.NGINX, reason, mode, group=group))
    return files


def desired_auth_key(key: Secret) -> DesiredFile:
    """Return the file with the key of nginx's login cache."""
    return DesiredFile(
        layout.AUTH_KEY,
        render("nginx/auth_key.conf.j2", key=key.reveal()),
        Effect.NGINX,
        "the key of the login cache",
        mode=0o600,
    )


def _tls_settings(answers: Answers, platform: Platform) -> dict[str, object]:
    """Return the values for nginx/tls.conf.j2 and related templates."""
    # Debian 13 is the first with OpenSSL 3.5, which has the hybrid key exchange.
    knows_hybrid = platform.os_id == "debian" and platform.os_version.isdigit()
    hybrid = "X25519MLKEM768:" if knows_hybrid and int(platform.os_version) >= 13 else ""
    return {
        "profile": answers.ssl.profile,
        "curves": f"{hybrid}X25519:prime256v1:secp384r1",
        "hsts": answers.ssl.hsts,
        "trusted_proxies": answers.ssl.trusted_proxies,
        "real_ip_header": "proxy_protocol"
        if answers.registry.proxy_protocol
        else "X-Forwarded-For",
    }


def _port_80(answers: Answers, platform: Platform) -> DesiredFile:
    """Return the port 80 server, in a separate file because ACME needs it before TLS."""
    registry = answers.registry
    order = certificate_order(answers, platform)
    is_asked = order is not None and order.challenge == "http-01"
    return DesiredFile(
        layout.NGINX_HTTP,
        render(
            "nginx/http.conf.j2",
            domain=registry.domain,
            server_name=_server_name(registry.domain),
            port=registry.port,
            redirect_http=registry.redirect_http,
            listens=_listens_on_80(answers, platform),
            inherited=undo(platform.http_directives),
            checks=layout.CHECKS,
            challenge_folder=layout.CHALLENGES if is_asked else None,
            peers=_peers(order, platform) if order and is_asked else [],
        ),
        Effect.NGINX,
        ("registry.redirect_http", "ssl.mode"),
    )


def _peers(order: CertificateOrder, platform: Platform) -> list[tuple[str, ...]]:
    """Return the peers' addresses for nginx, leaving out IPv6 if the server has none."""
    usable = (
        tuple(address for address in peer if platform.ipv6 or ":" not in address)
        for peer in order.peers
    )
    return [tuple(map(_in_brackets, peer)) for peer in usable if peer]


def _in_brackets(address: str) -> str:
    return f"[{address}]:80" if ":" in address else f"{address}:80"


def is_hashed_name(domain: str) -> bool:
    """Return whether a name fits into nginx's default server_names hash."""
    return len(domain) <= _LONGEST_HASHED


def _server_name(domain: str) -> str:
    """Return nginx's server_name: a regular expression if the name is too long for its hash."""
    if is_hashed_name(domain):
        return domain
    return '"~^' + domain.replace(".", r"\.") + '$"'


def _image(answers: Answers, materials: Materials) -> Image | None:
    registry = answers.registry
    if registry.runtime == "package":
        return None
    return Image(
        engine=registry.runtime,
        name=registry.image,
        archive=registry.image_archive,
        archive_digest=materials.image_archive_digest if registry.image_archive else None,
        archive_names=materials.image_archive_names if registry.image_archive else None,
        login=_image_login(registry, materials),
    )


def _image_login(registry: Registry, materials: Materials) -> bytes | None:
    """Return the configuration file with which Docker and Podman log in to pull the image."""
    password = materials.secrets.get("registry.image_login.password")
    if registry.image_login is None or password is None:
        return None
    hosts = [host_of(registry.image) or "docker.io"]
    if hosts == ["docker.io"]:
        # Docker's name for the same.
        hosts.append("https://index.docker.io/v1/")
    login = f"{registry.image_login.user}:{password.reveal()}".encode()
    auth = {"auth": base64.b64encode(login).decode()}
    return json.dumps({"auths": dict.fromkeys(hosts, auth)}).encode()
