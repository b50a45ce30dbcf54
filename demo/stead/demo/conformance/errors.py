"""How a check ends that does not pass."""


class Fault(Exception):
    """What the agent did wrong, in a sentence for a person."""


class Refusal(Exception):
    """The agent said no, in the protocol's own form."""
