"""Events as JSON values."""

from __future__ import annotations

from moorage.deploy.events import (
    CheckEnded,
    Event,
    LogLine,
    RunEnded,
    Staged,
    StepBegan,
    Warned,
    step_title,
)


def event_as_json(event: Event) -> dict[str, object]:
    """Return an event as a line of ``apply --json``.

    Args:
        event: The event.
    """
    line: dict[str, object] = {"server": event.server, "at": round(event.at, 3)}
    match event:
        case StepBegan():
            title = step_title(event.step)
            return {"event": "step", **line, "step": event.step, "title": title}
        case LogLine() | Warned():
            kind = "log" if isinstance(event, LogLine) else "warning"
            return {"event": kind, **line, "text": event.text}
        case Staged():
            return {"event": "staged", **line}
        case RunEnded():
            return {
                "event": "ended",
                **line,
                "run": event.run_id,
                "status": event.status,
                "code": event.code or None,
                "message": event.message,
                "step": event.step,
                "warnings": list(event.warnings),
            }
        case CheckEnded():
            return {
                "event": "check",
                **line,
                "check": event.key,
                "name": event.name,
                "status": event.status,
                "detail": event.detail,
            }
    return {"event": type(event).__name__, **line}
