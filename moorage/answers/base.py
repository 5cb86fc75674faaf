"""The base of every part of the answers."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class AnswersModel(BaseModel):
    """The base of every part of the answers: unknown keys are errors, values are immutable."""

    # Usually only the whole is validated, so validators of the parts are built when needed.
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False, defer_build=True)
