"""Whether a principal may do something: small declarative rules, default deny, decided in microseconds.

Knows principals and CEL; nothing of HTTP, of tokens or of where a decision is recorded.
"""

from stead.identity.policy.decision import Decides, Decision
from stead.identity.policy.engine import Policy
from stead.identity.policy.narrowing import Narrowed, narrowed
from stead.identity.policy.rules import Outcome, Rule, declared
from stead.identity.policy.wording import Worded

__all__ = ["Decides", "Decision", "Narrowed", "Outcome", "Policy", "Rule", "Worded", "declared", "narrowed"]
