"""The base of every part of the answers."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class AnswersModel(BaseModel):
    """The base of every part of the answers: unknown keys are errors, values do not change."""

    # Only the whole is validated as a rule, so its parts are not built before somebody needs them.
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False, defer_build=True)
