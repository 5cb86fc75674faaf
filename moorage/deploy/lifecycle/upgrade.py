"""Upgrades: which version of the registry's program each server gets."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from moorage.answers.model import Answers, shows_version
from moorage.deploy.deployment import Deployment
from moorage.deploy.plan.plan import Plan, ServerPlan
from moorage.deploy.plan.preflight import version_not_supported
from moorage.deploy.plan.programs import PACKAGE, Target, runs_now
from moorage.deploy.record.deployment_json import line_of, other_registries
from moorage.errors import MoorageError, Note, ServersFailed
from moorage.registry_keys import VERSIONS, registry_version, version_of
from moorage.servers.facts import Facts
from moorage.servers.transport import Transport
from templates.load import shell_script

_SILENCE, _DEADLINE = 1900.0, 2400.0
_VERSION = re.compile(r"[0-9][A-Za-z0-9.+:~-]{0,99}")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True)
class Wish:
    """The version to upgrade to; the newest if nothing is given.

    Attributes:
        image: The container image.
        archive: An archive with that image on the operator's machine.
        version: The package's version, or the image's tag.
    """

    image: str | None = None
    archive: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class Offer:
    """The versions that a server can get.

    Attributes:
        versions: The package's versions, newest first.
        chosen: The wanted one of them, or the one that apt would install; empty for none.
        changes: Other packages that would have to change.
        image: The ID of the image under its name, once it was pulled.
        unfetched: Why the package lists are incomplete; empty if they are complete.
        failed: Why it cannot get it; empty if it can.
    """

    versions: tuple[str, ...] = ()
    chosen: str = ""
    changes: tuple[str, ...] = ()
    image: str = ""
    unfetched: str = ""
    failed: str = ""


@dataclass(frozen=True)
class Upgrade:
    """The upgrade of one server.

    Attributes:
        server: The server's label.
        before: The version or image that runs there.
        after: The one that will.
    """

    server: str
    before: str
    after: str


def answers_of_upgrade(answers: Answers, wish: Wish, limit: Sequence[str] = ()) -> Answers:
    """Return the answers with the image, its archive and the version of an upgrade.

    With a limit, the image is that of the chosen servers; once all have it, of the registry.

    Args:
        answers: The operator's answers.
        wish: What to upgrade to.
        limit: The servers to upgrade, by label; all when empty.

    Raises:
        MoorageError: The registry does not run from an image, its name has no tag to replace, or
            an archive is for some servers only.
    """
    chosen = [each.host for each in answers.servers if not limit or each.host in limit]
    runtimes = {answers.for_server(host).registry.runtime for host in chosen}
    image = wish.image
    if image is None and wish.version is not None and "package" not in runtimes:
        image = _with_tag(answers.registry.image, wish.version)
    if (image is not None or wish.archive is not None) and runtimes == {"package"}:
        raise MoorageError(
            "The registry runs from the distribution's package, not from an image.",
            advice="Choose a version of the package, or another runtime.",
            code="runs_package",
            fields=("registry.runtime",),
        )
    if wish.archive is not None and len(chosen) < len(answers.servers):
        raise MoorageError(
            "An image archive is for all servers.",
            advice="Load it on the server first (docker load, podman load), and name the image.",
            code="archive_for_all",
            fields=("registry.image_archive",),
        )
    changed = answers
    if image is not None:
        changed = _with_image(answers, image, chosen)
    if wish.archive is not None:
        registry = changed.registry.model_copy(update={"image_archive": wish.archive})
        changed = changed.model_copy(update={"registry": registry})
    if changed == answers:
        return answers
    try:
        return Answers.model_validate(changed.model_dump())
    except ValueError as error:
        raise MoorageError(
            f"{image or wish.archive!r} is not an image's name, or its archive's path.",
            advice="Write it as HOST/NAME:TAG.",
            code="image_not_valid",
            fields=("registry.image", "registry.image_archive"),
        ) from error


def _with_tag(image: str, tag: str) -> str:
    name, colon, old = image.rpartition(":")
    if not colon or "/" in old or "@" in image or not _TAG.fullmatch(tag):
        raise MoorageError(
            f"{image} has no tag that the version could replace.",
            advice="Name the image instead.",
            code="image_without_tag",
            fields=("registry.image",),
        )
    return f"{name}:{tag}"


def _with_image(answers: Answers, image: str, chosen: Sequence[str]) -> Answers:
    """Return answers with the image of some servers, or of all."""
    registry = answers.registry
    others = [
        each
        for each in answers.servers
        if each.host not in chosen and (each.runtime or registry.runtime) != "package"
    ]
    if all((each.image or registry.image) == image for each in others):
        servers = tuple(each.model_copy(update={"image": None}) for each in answers.servers)
        update: dict[str, object] = {"image": image}
        if others and image != registry.image:
            # The archive has the image that was replaced on one server after the other.
            update["image_archive"] = None
        if image != registry.image and registry.version is not None and shows_version(image):
            plain = registry.model_copy(update={"image": image, "version": None})
            update["version"] = registry_version(answers.model_copy(update={"registry": plain}))
        registry = registry.model_copy(update=update)
        return answers.model_copy(update={"registry": registry, "servers": servers})
    own = image if image != registry.image else None
    servers = tuple(
        each.model_copy(update={"image": own}) if each.host in chosen else each
        for each in answers.servers
    )
    return answers.model_copy(update={"servers": servers})


def plan_upgrade(deployment: Deployment, facts: Sequence[Facts], wish: Wish) -> Plan:
    """Ask the servers what they can get, and plan the upgrade.

    The deployment's answers get the version of a package that needs another configuration.

    Args:
        deployment: The deployment, with the answers of the upgrade.
        facts: The facts of its servers.
        wish: What to upgrade to.

    Raises:
        MoorageError: A server cannot be asked, or cannot get it, or has another registry; or the
            answers were not applied yet and a new user would get a password.
    """
    if others := other_registries(facts, deployment.answers.registry.domain):
        raise ServersFailed(others)
    offers = find_offers(deployment, deployment.plan_from(facts, reads_images=False), wish)
    targets = targets_of(facts, offers, wish)
    deployment.answers = answers_for_packages(deployment.answers, targets)
    plan = deployment.plan_from(facts, targets=targets)
    if plan.materials.generated or any(server.is_new for server in plan.servers):
        raise MoorageError(
            "The answers add users or servers that were not applied yet.",
            advice="Apply the answers first.",
            code="not_applied",
        )
    revised = replace(plan.revised, upgraded_to=_names(upgrades_of(plan)))
    servers = tuple(_with_notes(each, offers) for each in plan.servers)
    return replace(plan, servers=servers, revised=revised)


def _with_notes(plan: ServerPlan, offers: Mapping[str, Offer]) -> ServerPlan:
    offer = offers.get(plan.server, Offer())
    if not offer.unfetched:
        return plan
    text = f"The package lists are incomplete, so a newer version can exist: {offer.unfetched}."
    return replace(plan, notes=(*plan.notes, Note("lists_incomplete", text)))


def find_offers(deployment: Deployment, plan: Plan, wish: Wish) -> dict[str, Offer]:
    """Ask the servers what they can get: fetches package lists, or pulls an image again.

    Args:
        deployment: The deployment.
        plan: A plan of its answers without an upgrade.
        wish: What to upgrade to.

    Returns:
        The offers by server; none for a server whose image is new, or comes from an archive.

    Raises:
        ServersFailed: A server cannot be asked.
    """
    inputs: dict[str, str] = {}
    for server in plan.servers:
        image = server.desired.image
        if image is None:
            inputs[server.server] = f"-\n-\n{_asked(wish)}\n-\n"
        elif image.archive is None and not server.takes_program:
            login = base64.b64encode(image.login).decode() if image.login else "-"
            inputs[server.server] = f"{image.engine}\n{image.name}\n-\n{login}\n"

    def ask(transport: Transport) -> Offer:
        if transport.server not in inputs:
            return Offer()
        script = shell_script("run/causes.sh") + shell_script("newest.sh")
        done = transport.run(
            script,
            payload=inputs[transport.server].encode(),
            timeout=_SILENCE,
            deadline=_DEADLINE,
            cancel=deployment.cancel,
        )
        return read_offer(done.stdout.decode("utf-8", "replace"))

    answered = deployment.on_each(ask)
    if failed := [each for each in answered.values() if isinstance(each, MoorageError)]:
        raise ServersFailed(failed)
    found = {name: each for name, each in answered.items() if isinstance(each, Offer)}
    return {name: found[name] for name in inputs}


def _asked(wish: Wish) -> str:
    return wish.version if wish.version is not None and _VERSION.fullmatch(wish.version) else "-"


def read_offer(text: str) -> Offer:
    """Parse what a server says that it can get; it is not trusted.

    Args:
        text: The output of newest.sh.
    """
    rows: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, tab, value = line.partition("\t")
        if tab and (clean := line_of(value)):
            rows.setdefault(name, []).append(clean)
    versions = [each for each in rows.get("version", []) if _VERSION.fullmatch(each)]
    chosen = next(iter(rows.get("chosen", [])), "")
    return Offer(
        tuple(dict.fromkeys(versions)),
        chosen if _VERSION.fullmatch(chosen) else "",
        tuple(rows.get("changes", [])),
        next(iter(rows.get("image", [])), ""),
        next(iter(rows.get("unfetched", [])), ""),
        next(iter(rows.get("failed", [])), ""),
    )


def targets_of(
    every: Sequence[Facts], offers: Mapping[str, Offer], wish: Wish
) -> dict[str, Target]:
    """Return what each server gets.

    Args:
        every: The facts of each server.
        offers: What each can get.
        wish: What to upgrade to.

    Raises:
        ServersFailed: A server cannot get it.
    """
    targets, failed = {}, []
    for facts in every:
        offer = offers.get(facts.server)
        if offer is None:
            continue
        try:
            targets[facts.server] = target = _target(offer, wish)
            installed = facts.packages.get(PACKAGE)
            if PACKAGE in facts.held and installed != target.version:
                what = f"is kept at {installed}" if installed else "is kept from being installed"
                raise MoorageError(
                    f"{PACKAGE} {what}, because it is on hold.",
                    advice=f"Release it on the server: apt-mark unhold {PACKAGE}",
                    code="on_hold",
                )
        except MoorageError as error:
            error.server = facts.server
            failed.append(error)
    if failed:
        raise ServersFailed(failed)
    return targets


def answers_for_packages(answers: Answers, targets: Mapping[str, Target]) -> Answers:
    """Return the answers with the version for which packages need their configuration.

    Args:
        answers: The answers of the upgrade.
        targets: What the servers get, by label.

    Raises:
        ServersFailed: A version is not supported, or needs a configuration that does not fit
            another server.
    """
    failed = []
    wanted: dict[str, str] = {
        each.host: registry_version(answers.for_server(each.host)) for each in answers.servers
    }
    changed = answers
    for host, target in targets.items():
        fits = version_of(target.version)
        if fits not in {"", *VERSIONS}:
            failed.append(version_not_supported(f"{PACKAGE} {target.version}", host))
        elif fits and fits != wanted[host]:
            wanted[host] = fits
            registry = answers.registry.model_copy(update={"version": fits})
            changed = answers.model_copy(update={"registry": registry})
    for host, version in wanted.items():
        if not failed and registry_version(changed.for_server(host)) != version:
            failed.append(_version_for_all(changed, version, host))
    if failed:
        raise ServersFailed(failed)
    return changed


def _version_for_all(answers: Answers, version: str, host: str) -> MoorageError:
    return MoorageError(
        f"the registry's version would become {answers.registry.version} on all servers, but this "
        f"one stays at {version}.",
        advice="Upgrade all servers together, or give a server that runs an image one of its own.",
        server=host,
        fields=("registry.version", "servers[].image"),
        code="version_for_all",
    )


def _target(offer: Offer, wish: Wish) -> Target:
    if offer.image:
        return Target(image=offer.image)
    version = offer.chosen
    lists = f" The package lists are incomplete: {offer.unfetched}." if offer.unfetched else ""
    if wish.version is not None and not (version and _VERSION.fullmatch(wish.version)):
        known = ", ".join(offer.versions) or "none"
        raise MoorageError(
            f"Version {wish.version} of {PACKAGE} is not available.{lists}",
            advice=f"Available: {known}.",
            code="version_not_available",
        )
    if offer.failed or not version:
        raise MoorageError(
            f"The registry cannot be upgraded: {offer.failed or 'there is no package for it'}."
            f"{lists}",
            code="upgrade_not_possible",
        )
    if offer.changes:
        raise MoorageError(
            f"{PACKAGE} {version} needs other packages to change: {', '.join(offer.changes)}.",
            advice="An upgrade changes nothing else. Install them with apt on the server first.",
            code="upgrade_needs_more",
        )
    return Target(version=version)


def upgrades_of(plan: Plan) -> tuple[Upgrade, ...]:
    """Return what an upgrade changes, server by server; nothing for those that have it already.

    Args:
        plan: The plan of the upgrade.
    """
    return tuple(
        Upgrade(each.server, runs_now(each.facts), _becomes(each))
        for each in plan.servers
        if each.takes_program
    )


def done_text_of(plan: Plan) -> str:
    """Return what an upgrade did, for display.

    Args:
        plan: The plan of the upgrade.
    """
    return f"Upgraded to {', '.join(_names(upgrades_of(plan)))}."


def _names(upgrades: Sequence[Upgrade]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.after for each in upgrades))


def _becomes(plan: ServerPlan) -> str:
    image = plan.desired.image
    if image is None:
        return f"{PACKAGE} {plan.package_version or plan.facts.packages.get(PACKAGE, '')}".strip()
    if image.name == runs_now(plan.facts):
        return f"{image.name}, as it is now"
    return image.name
