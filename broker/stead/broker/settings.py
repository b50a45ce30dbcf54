"""What an operator may set for a broker process."""

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read once at start, from `STEAD_PLANNER_BASE_URL` and `STEAD_PLANNER_SECONDS`.

    `planner` is the workload's own setting (`STEAD_PLANNER`, or `planner` in stead.yaml) unless it is given here.
    """

    model_config = SettingsConfigDict(env_prefix="STEAD_", frozen=True)

    planner: str | None = None
    planner_base_url: str | None = None
    planner_seconds: float = 30.0
