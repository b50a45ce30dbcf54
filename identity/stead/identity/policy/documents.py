"""The two documents of a policy file: its rules, and its tests. What would be passed over in silence is a mistake."""

from typing import Any

import yaml

from stead.identity.errors import ConfigurationError


def documents(text: str) -> tuple[list[Any], Any]:
    """The entries of the first document, and the second one, None where there is none. Raises `ConfigurationError`."""
    try:
        found = list(yaml.load_all(text, _Loader))
    except yaml.YAMLError as error:
        raise ConfigurationError(f"The policy is not valid YAML.{_where(error)}", hint=_hint(error)) from None
    rules, tests, *rest = [*found, None, None]
    if any(each is not None for each in rest):
        raise ConfigurationError("The policy has more than its rules and its tests.", hint="Join what `---` parts.")
    if rules is not None and not isinstance(rules, list):
        raise ConfigurationError("The policy is not a list of rules.")
    if tests is not None and not isinstance(tests, dict):
        raise ConfigurationError("The second document of the policy is not its tests.", hint="It begins with `tests:`.")
    return rules or [], tests


class _Loader(yaml.SafeLoader):
    """The safe loader, which lets no key be written twice: the second would silently take the place of the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:str" and key.value in seen:
                raise yaml.constructor.ConstructorError(problem=f"{key.value} twice", problem_mark=key.start_mark)
            seen |= {key.value} if isinstance(key.value, str) else set()
        return super().construct_mapping(node, deep)


def _where(error: yaml.YAMLError) -> str:
    line = getattr(getattr(error, "problem_mark", None), "line", None)
    return "" if line is None else f" Look at line {line + 1}."


def _hint(error: yaml.YAMLError) -> str | None:
    return f"It has {error.problem}." if isinstance(error, yaml.constructor.ConstructorError) else None
