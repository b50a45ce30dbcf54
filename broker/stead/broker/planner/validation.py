"""What every plan must satisfy before it runs, whoever made it.

Known skills, the identity that the registry has for them, inputs that fit the schema, references to what an earlier
step gives, no cycle, and no more steps than one plan may have.
"""

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from referencing import Registry
from referencing.exceptions import Unresolvable

from stead.broker.errors import PlanInvalid
from stead.broker.plans import MAX_STEPS, REFERENCE, Candidate, Plan, Step, references


def validate(plan: Plan, candidates: Sequence[Candidate]) -> Plan:
    """`plan` itself. Raises `PlanInvalid` with every reason why it must not run."""
    known = {candidate.key: candidate for candidate in candidates}
    reasons = tuple(dict.fromkeys([*_shape(plan), *(why for step in plan.steps for why in _step(step, plan, known))]))
    if reasons:
        raise PlanInvalid(reasons)
    return plan


def _shape(plan: Plan) -> Iterator[str]:
    ids = [step.id for step in plan.steps]
    if len(ids) > MAX_STEPS:
        yield f"It has {len(ids)} steps; {MAX_STEPS} is the most."
    if len(set(ids)) != len(ids):
        yield "Two steps have the same id."
    try:
        TopologicalSorter({step.id: _predecessors(step) for step in plan.steps}).prepare()
    except CycleError:
        yield "Its steps wait for one another."


def _predecessors(step: Step) -> set[str]:
    return {*step.needs, *(other for other, _ in references(step.inputs))}


def _step(step: Step, plan: Plan, known: Mapping[str, Candidate]) -> Iterator[str]:
    candidate = known.get(step.skill)
    if candidate is None:
        yield f"Step {step.id}: no skill “{step.skill}” is offered."
        return
    if (step.agent, step.identity, step.effects) != (candidate.agent, candidate.identity, candidate.effects):
        yield f"Step {step.id}: its agent, identity or effects are not those of {step.skill}."
    yield from _order(step, plan)
    yield from (f"Step {step.id}: {why}" for why in _inputs(step, candidate))
    yield from _outputs(step, plan, known)


def _order(step: Step, plan: Plan) -> Iterator[str]:
    ids = {other.id for other in plan.steps}
    for other in sorted(_predecessors(step) - ids):
        yield f"Step {step.id}: it needs step “{other}”, which is not in the plan."
    for other in sorted({other for other, _ in references(step.inputs)} - set(step.needs)):
        yield f"Step {step.id}: it refers to step “{other}” without needing it."


def _inputs(step: Step, candidate: Candidate) -> Iterator[str]:
    for name in sorted(set(step.inputs) - set(candidate.properties)):
        yield f"{step.skill} has no input “{name}”."
    yield from complaints(candidate.input_schema, step.inputs)


def complaints(schema: Mapping[str, Any], inputs: Mapping[str, Any]) -> Iterator[str]:
    """What a JSON schema says against inputs, as "path: why". What comes from an earlier step is not judged yet."""
    try:
        # A registry of its own, because the validator's default fetches what a `$ref` names, files included.
        errors = list(Draft202012Validator(dict(schema), registry=Registry()).iter_errors(inputs))
    except (SchemaError, Unresolvable):
        yield "inputs: the skill's schema is not valid."
        return
    for error in errors:
        if not _is_reference(inputs, error.absolute_path) and error.validator != "additionalProperties":
            yield f"{'.'.join(map(str, error.absolute_path)) or 'inputs'}: {_why(error)}"


def _why(error: Any) -> str:
    """The schema's complaint, short: it may quote the person's own words, nothing else."""
    return str(error.message)[:200]


def _is_reference(inputs: Any, path: Sequence[Any]) -> bool:
    """True where what the schema complains about is not there yet, but comes from an earlier step."""
    value = inputs
    for part in path:
        value = value[part]
    return isinstance(value, Mapping) and set(value) == {REFERENCE}


def _outputs(step: Step, plan: Plan, known: Mapping[str, Candidate]) -> Iterator[str]:
    by_id = {other.id: other for other in plan.steps}
    for other, path in references(step.inputs):
        source = known.get(by_id[other].skill) if other in by_id else None
        if source is not None and not _gives(source.output_schema, path):
            yield f"Step {step.id}: {source.key} gives no “{'.'.join(path)}”."


def _gives(schema: Mapping[str, Any], path: Sequence[str]) -> bool:
    """True unless the output's schema rules the path out."""
    if not path or path[0] != "output":
        return False
    at: Any = schema
    for part in path[1:]:
        at = _member(schema, at, part)
        if at is None:
            return False
    return True


def _member(root: Mapping[str, Any], at: Any, part: str) -> Any:
    if isinstance(at, Mapping) and isinstance(at.get("$ref"), str):
        at = root.get("$defs", {}).get(at["$ref"].rsplit("/", 1)[-1], {})
    if not isinstance(at, Mapping) or not at:
        return {}
    if part.isdecimal():
        return at.get("items", {}) if at.get("type", "array") == "array" else None
    properties = at.get("properties")
    return {} if properties is None and at.get("type", "object") == "object" else (properties or {}).get(part)
