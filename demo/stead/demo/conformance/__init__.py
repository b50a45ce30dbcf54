"""Whether an A2A agent keeps the promises of `TASK_STATE_AUTH_REQUIRED`, looked at from outside, in any language."""
