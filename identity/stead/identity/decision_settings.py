"""Who else has to allow what is asked, as settings."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stead.identity.issuer_settings import Positive, Strict


class DecisionPointSettings(Strict):
    """An external decision point that speaks AuthZEN, and how it is asked.

    With `scopes` (which may be an empty list) it is shown a token of this workload for `audience`, with `token_file`
    what that file holds, else nothing.
    """

    url: Annotated[str, Field(pattern=r"^https?://[^\s?#]+[^\s?#/]$")]
    asked_for: Literal["everything", "effects"] = "everything"
    scopes: tuple[str, ...] | None = None
    audience: str | None = None
    token_file: Path | None = None
    seconds: Positive = 2

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        if self.scopes is not None and self.token_file is not None:
            raise ValueError("it is shown a token of the workload's own (scopes) or of a file (token_file), not both")
        return self
