"""Paths, ports and names on a server."""

from __future__ import annotations

from typing import Literal

Slot = Literal["blue", "green"]

ACCOUNT = "moorage"
WEB_GROUP = "www-data"
ETC = "/etc/moorage"
REGISTRY_ETC = f"{ETC}/registry"
REGISTRY_ENV = f"{REGISTRY_ETC}/registry.env"
PROGRAMS = "/usr/local/lib/moorage/programs"
"""Holds the programs that slots run, each named after its digest."""
HELD_IMAGES = "localhost/moorage-registry"
"""The name of the tags that hold the images that slots run."""
SLOT_SCRIPT = f"{REGISTRY_ETC}/slot.sh"
"""Run by systemd before and after a slot starts."""
HOOKS_ETC = f"{ETC}/hooks"
DEPLOYMENT = f"{ETC}/deployment.json"
NGINX_ETC = "/etc/nginx/moorage"
NGINX_SITE = "/etc/nginx/conf.d/moorage.conf"
NGINX_HTTP = "/etc/nginx/conf.d/moorage-http.conf"
HTPASSWD = f"{NGINX_ETC}/htpasswd"
HTPASSWD_DISABLED = f"{NGINX_ETC}/htpasswd.disabled"
ACCESS_MAP = f"{NGINX_ETC}/access.map"
AUTH_KEY = f"{NGINX_ETC}/auth_key.conf"
AUTH_SCRIPT = f"{NGINX_ETC}/auth.js"
UPSTREAM = f"{NGINX_ETC}/upstream.conf"
INHERITED = f"{NGINX_ETC}/inherited.conf"
TLS_ETC = f"{NGINX_ETC}/tls"
TLS_CERTIFICATE = f"{TLS_ETC}/fullchain.pem"
TLS_KEY = f"{TLS_ETC}/key.pem"
ACME_ETC = f"{ETC}/acme"
CERTBOT_CONFIG = f"{ACME_ETC}/certbot.ini"
DNS_CREDENTIALS = f"{ACME_ETC}/dns.ini"
ACME_CA = f"{ACME_ETC}/ca.pem"
DEPLOY_HOOK = f"{ACME_ETC}/deploy.sh"
CLEAR_SOCKETS = f"{ETC}/clear-sockets.sh"
NGINX_DROP_INS = "/etc/systemd/system/nginx.service.d"
NGINX_DROP_IN = f"{NGINX_DROP_INS}/moorage.conf"
NEEDRESTART_ETC = "/etc/needrestart/conf.d"
NEEDRESTART_SCRIPTS = "/etc/needrestart/restart.d"
NEEDRESTART_CONFIG = f"{NEEDRESTART_ETC}/moorage.conf"
NEEDRESTART_NGINX = f"{NEEDRESTART_SCRIPTS}/nginx.service"
"""Run by needrestart in place of a restart of nginx."""
CERTBOT_DROP_INS = "/etc/systemd/system/certbot.service.d"
CERTBOT_DROP_IN = f"{CERTBOT_DROP_INS}/moorage.conf"
LINEAGE = "moorage"
"""certbot's name for the registry's certificate."""
RENEWAL = f"/etc/letsencrypt/renewal/{LINEAGE}.conf"
"""certbot's renewal configuration."""
UNIT = "/etc/systemd/system/moorage-registry@.service"
UPLOADS_SCRIPT = f"{REGISTRY_ETC}/uploads.sh"
UPLOADS_SERVICE = "/etc/systemd/system/moorage-uploads.service"
UPLOADS_TIMER = "/etc/systemd/system/moorage-uploads.timer"
ACTIVITY_SCRIPT = f"{ETC}/activity.py"
ACTIVITY_SERVICE = "/etc/systemd/system/moorage-activity.service"
ACTIVITY_TIMER = "/etc/systemd/system/moorage-activity.timer"
RECOVER_SCRIPT = f"{ETC}/recover.py"
RECOVER_SERVICE = "/etc/systemd/system/moorage-recover.service"
COLLECT_SCRIPT = f"{ETC}/collect.py"
COLLECT_SETTINGS = f"{ETC}/collect.json"
COLLECT_SERVICE = "/etc/systemd/system/moorage-collect.service"
COLLECT_TIMER = "/etc/systemd/system/moorage-collect.timer"
COLLECT_WANTED = "/etc/systemd/system/timers.target.wants/moorage-collect.timer"
"""The link with which systemd starts the timer at boot."""
COLLECT_STAMP = "/var/lib/systemd/timers/stamp-moorage-collect.timer"
"""The time of the timer's last run, for systemd."""
IMAGES_SCRIPT = f"{ETC}/images.sh"
STATE = "/var/lib/moorage"
RUNS = f"{STATE}/runs"
"""Has a folder for each run: its script, log and result."""
RUNS_IN_MEMORY = "/run/moorage-runs"
"""Likewise, for an uninstall on a full disk; linked from there."""
DEPLOYMENTS = f"{STATE}/deployments"
"""Has a folder for each kept deployment: its record and its files."""
ACTIVITY = f"{STATE}/activity"
"""The folder of the index of pushes and pulls."""
ACTIVITY_PRIVATE = "/var/lib/private/moorage/activity"
"""The folder itself, which systemd gives to the service's own account."""
ACTIVITY_INDEX = f"{ACTIVITY}/index"
COLLECTION = f"{STATE}/collection"
"""The end of the last scheduled collection."""
LAST_SEEN = f"{STATE}/seen"
"""What earlier versions read from nginx's logs."""
CHALLENGES = f"{STATE}/acme"
"""ACME challenges served by nginx."""
ADDITIONS = f"{STATE}/additions"
"""What runs added to the server, and its services' previous state; written by the run script."""
CHECK_URL = "/_moorage_check/"
CHECKS = f"{STATE}/check"
"""Files that a run creates and then requests from nginx."""

MANAGED = (
    ETC, NGINX_ETC, NGINX_SITE, NGINX_HTTP, NGINX_DROP_INS, UNIT, CERTBOT_DROP_INS, RENEWAL,
    CHALLENGES, UPLOADS_SERVICE, UPLOADS_TIMER, ACTIVITY_SERVICE, ACTIVITY_TIMER,
    RECOVER_SERVICE, COLLECT_SERVICE, COLLECT_TIMER, NEEDRESTART_ETC, NEEDRESTART_SCRIPTS,
    ADDITIONS,
)  # fmt: skip
"""The paths that the probe reads: Moorage's files and folders, and certbot's renewal file."""
COLLECT_FILES = (COLLECT_SCRIPT, COLLECT_SETTINGS, IMAGES_SCRIPT, COLLECT_SERVICE, COLLECT_TIMER)
"""The files of the schedule of collections."""

WEB_SOCKETS = "/run/moorage"
"""nginx's internal sockets, accessible only to nginx."""
HOLD = f"{WEB_SOCKETS}/hold"
"""While this file exists, nginx holds writes until the collector's socket answers."""
RELEASE_SOCKET = f"{WEB_SOCKETS}/release.sock"
HELD_SOCKET = f"{WEB_SOCKETS}/held.sock"
CONDEMNED = f"{WEB_SOCKETS}/condemned"
"""Has a file for each repository, tag and digest for which nginx holds HEAD requests, too."""
SOCKETS = "/run/moorage-registry"
"""Has a folder for each slot, accessible only to the registry's account and nginx."""
OLD_PORTS: dict[Slot, int] = {"blue": 5101, "green": 5102}
"""The loopback ports that slots used before they had sockets."""
DEBUG_PORTS: dict[Slot, int] = {"blue": 5111, "green": 5112}
"""The loopback ports of the slots' debug servers, if enabled in the settings."""
STORE_MARKER = ".moorage-store"
"""The marker file that tells the images folder from an empty mount point."""


def other(slot: Slot) -> Slot:
    """Return the other slot."""
    return "green" if slot == "blue" else "blue"


def config_path(slot: Slot) -> str:
    """Return the path of a slot's config.yml."""
    return f"{REGISTRY_ETC}/{slot}/config.yml"


def slot_env_path(slot: Slot) -> str:
    """Return the path of a slot's slot.env."""
    return f"{REGISTRY_ETC}/{slot}/slot.env"


def program_path(slot: Slot) -> str:
    """Return the path of the file that names a slot's program; runs write it."""
    return f"{REGISTRY_ETC}/{slot}/program.env"


def slot_files(slot: Slot) -> tuple[str, str]:
    """Return the paths of a slot's own files."""
    return config_path(slot), slot_env_path(slot)


def socket_path(slot: Slot) -> str:
    """Return the path of the unix socket a slot listens on."""
    return f"{SOCKETS}/{slot}/registry.sock"


def hook_path(name: str) -> str:
    """Return the path of a hook's script, by the hook's name."""
    return f"{HOOKS_ETC}/{name}"


def unit_name(slot: Slot) -> str:
    """Return the systemd service of a slot."""
    return f"moorage-registry@{slot}"
