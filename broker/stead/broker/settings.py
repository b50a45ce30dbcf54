"""What an operator may set for a broker process."""

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read once at start, from the environment: `STEAD_PLANNER`, `STEAD_PLANNER_BASE_URL`, `STEAD_PLANNER_SECONDS`."""

    model_config = SettingsConfigDict(env_prefix="STEAD_", frozen=True)

    planner: str = "rules"
    planner_base_url: str | None = None
    planner_seconds: float = 30.0
