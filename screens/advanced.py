"""Advanced: what runs the registry, its ports and its own configuration."""

from __future__ import annotations

from typing import Any

import yaml
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static, TextArea

from tui.flow import Step
from tui.messages import DraftChanged
from tui.widgets.choice import Choice, Option, Toggle
from tui.widgets.field import Field
from tui.widgets.pane import StepPane

_RUNTIMES = (
    Option("package", "The distribution's package", "no container engine"),
    Option("docker", "Docker", "the registry's image"),
    Option("podman", "Podman", "the registry's image"),
)
_ROLLOUTS = (
    Option("rolling", "One server after the other"),
    Option("all_at_once", "All servers at once"),
)


class AdvancedPane(StepPane):
    """Everything most people leave as it is."""

    step = Step.ADVANCED
    question = "Anything special?"
    explanation = "Most people leave this as it is."
    help_text = (
        "Settings are any part of the registry's own configuration, merged over what Moorage "
        "writes; environment takes REGISTRY_* variables for the same. In the two text areas Enter "
        "begins a new line; Ctrl+N goes on."
    )
    example = (
        "log: {level: info}\n"
        "storage: {delete: {enabled: true}}\n"
        "REGISTRY_LOG_LEVEL: info      the same, as environment"
    )
    DEFAULT_CSS = """
    AdvancedPane .caption { color: $foreground; }
    AdvancedPane TextArea { height: 6; background: $panel; }
    AdvancedPane .area-error { color: $text-error; height: auto; margin-bottom: 1; }
    AdvancedPane #image { height: auto; }
    """

    def body(self) -> ComposeResult:
        yield Static("What runs the registry", classes="caption")
        yield Choice(_RUNTIMES, "registry.runtime", id="runtime")
        with Vertical(id="image"):
            yield Field("Image", "registry.image", placeholder="docker.io/library/registry:3.1.1")
            yield Field(
                "Image archive",
                "registry.image_archive",
                placeholder="~/registry.tar",
                help_text="A docker save archive here, for servers with no way out",
            )
        yield Field(
            "Port", "registry.port", placeholder="443", help_text="The port nginx listens on"
        )
        yield Toggle("Port 80 sends people on to HTTPS", "registry.redirect_http", value=True)
        yield Static("Several servers are switched", classes="caption")
        yield Choice(_ROLLOUTS, "rollout")
        yield Static("Registry settings (YAML)", classes="caption")
        yield TextArea(id="settings", compact=True, tab_behavior="focus")
        yield Static("", id="settings-error", classes="area-error", markup=False)
        yield Static("Registry environment (YAML, REGISTRY_…: value)", classes="caption")
        yield TextArea(id="environment", compact=True, tab_behavior="focus")
        yield Static("", id="environment-error", classes="area-error", markup=False)

    def load(self) -> None:
        """Fill the fields."""
        super().load()
        for name in ("settings", "environment"):
            area = self.query_one(f"#{name}", TextArea)
            value = self.draft.get(f"registry.{name}")
            if not area.text and value:
                area.text = (
                    value
                    if isinstance(value, str)
                    else yaml.safe_dump(value, sort_keys=False, default_flow_style=False)
                )
        self._show_image()

    def _show_image(self) -> None:
        self.query_one("#image").display = self.query_one("#runtime", Choice).value != "package"

    @on(Choice.Changed, "#runtime")
    def _runtime_chosen(self) -> None:
        self._show_image()

    @on(TextArea.Changed)
    def _area_typed(self, event: TextArea.Changed) -> None:
        name = event.text_area.id or ""
        value, fault = read_mapping(event.text_area.text)
        path = f"registry.{name}"
        if fault:
            # Kept as text: the draft loses nothing, and the model refuses it.
            self.draft.set(path, event.text_area.text)
        elif value:
            self.draft.set(path, value)
        else:
            self.draft.remove(path)
        self._show_fault_of(name)
        self.post_message(DraftChanged())

    def _show_fault_of(self, name: str) -> None:
        area = self.query_one(f"#{name}", TextArea)
        _, fault = read_mapping(area.text)
        message = fault or self._problem_below(f"registry.{name}")
        self.query_one(f"#{name}-error", Static).update(f"✗ {message}" if message else "")

    def _problem_below(self, path: str) -> str:
        for problem in self.problems():
            if problem.dotted.startswith(path):
                below = problem.dotted.removeprefix(path).removeprefix(".")
                return f"{below}: {problem.message}" if below else problem.message
        return ""


def read_mapping(text: str) -> tuple[dict[str, Any], str]:
    """Read YAML that must be keys and values; returns it and what is wrong, or empty.

    Args:
        text: What was typed; blank text is an empty mapping.
    """
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark is not None else ""
        problem = getattr(error, "problem", None) or "this is no YAML"
        return {}, f"{place}{problem}"
    if value is None:
        return {}, ""
    if not isinstance(value, dict):
        return {}, "wanted: keys and values, such as log: {level: info}"
    return value, ""
