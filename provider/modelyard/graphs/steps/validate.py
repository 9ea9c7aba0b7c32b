"""Checks bodies against rules: rejects what breaks one, tags it, or sends it to quarantine with the reasons."""

from collections.abc import Mapping
from typing import Any

from modelyard.graphs.errors import LibraryMissing
from modelyard.graphs.event import Event
from modelyard.graphs.steps.checking import Checked
from modelyard.graphs.steps.errors import BodyInvalid
from modelyard.graphs.steps.rules import FieldRules, Finding

__all__ = ["Validate"]


class Validate:
    """Checks each body against rules for its fields, a JSON Schema, or both; every broken rule is told at once.

    Parameters
    ----------
    rules
        Field (dotted) → its rules: ``type`` (``number``, ``integer``, ``text``, ``boolean``, ``list``, ``mapping``),
        ``required`` (true unless said otherwise), ``null`` (whether there may be no value; false), ``min``, ``max``,
        ``above``, ``below``, ``min_length``, ``max_length``, ``pattern`` (a regular expression for the whole text),
        ``one_of`` (a list). Of one field the first broken rule is told.
    schema
        A JSON Schema (2020-12, or what its ``$schema`` says) of the body. ``format`` is a remark, as the standard has
        it, and not checked; nothing that a ``$ref`` names is fetched from elsewhere.
    extra
        Whether fields without a rule are welcome: ``allow`` or ``refuse``. It goes with `rules`.
    on_invalid
        ``reject`` (in `to`: an error, status 422); ``tag`` (in `to`: the body passes, with the reasons in the field
        `tag`); or ``route`` (in `choice`: the outlets are ``valid`` and ``invalid``, and what leaves by the second one
        is ``{"body": …, "reasons": […]}``).
    tag
        With ``tag``: the name of the field for the reasons; an empty list where all is well.

    Raises
    ------
    BodyInvalid
        The body breaks a rule, and shall be rejected (422).

    Examples
    --------
    >>> from modelyard.graphs import Graph
    >>> rules = {"distance": {"type": "number", "min": 0}, "origin": {"one_of": ["EWR", "JFK", "LGA"]}}
    >>> graph = Graph("checked")
    >>> step = graph.to(Validate, rules=rules).respond()
    >>> graph.test({"distance": 2475, "origin": "JFK"})
    {'distance': 2475, 'origin': 'JFK'}
    >>> graph.test({"distance": -1, "origin": "BER"})
    Traceback (most recent call last):
    modelyard.graphs.errors.StepFailed: ...: the body breaks 2 rules: distance must be at least 0, got -1; ...

    Bad rows go another way:

    >>> graph = Graph("quarantined")
    >>> check = graph.choice(Validate, name="check", rules=rules, on_invalid="route")
    >>> kept = []
    >>> good = check.when("valid").to(lambda body: body["distance"], name="score").respond()
    >>> bad = check.when("invalid").to(kept.append, name="keep")
    >>> graph.test({"distance": 2475, "origin": "JFK"}), graph.test({"distance": None, "origin": "JFK"})
    (2475, None)
    >>> kept[0]["reasons"]
    [{'field': 'distance', 'rule': 'must have a value', 'value': None}]
    """

    kinds: tuple[str, ...] = ("call", "choice")

    def __init__(
        self,
        *,
        rules: Mapping[str, Mapping[str, Any]] | None = None,
        schema: Mapping[str, Any] | None = None,
        extra: str = "allow",
        on_invalid: str = "reject",
        tag: str = "invalid",
    ) -> None:
        checked = Checked("Validate")
        if not rules and not schema:
            raise checked.refuse("rules", "must be given, or a schema", rules)
        given = checked.mapping("rules", rules or {})
        self._rules = [FieldRules(checked, field, told) for field, told in given.items()]
        self._known = {field.partition(".")[0] for field in given}
        self._closed = checked.word("extra", extra, ("allow", "refuse")) == "refuse"
        if self._closed and not given:
            raise checked.refuse("extra", "goes with rules; a schema says additionalProperties", extra)
        self._schema = _validator(checked, schema) if schema else None
        self._way = checked.word("on_invalid", on_invalid, ("reject", "tag", "route"))
        self._tag = checked.text("tag", tag)
        self.kinds = ("choice",) if self._way == "route" else ("call",)
        if self._way != "route":
            vars(self)["do"] = self._do

    def do_event(self, event: Event) -> str:
        """Return the outlet; what is invalid leaves with its reasons."""
        found = self.findings(event.body)
        if not found:
            return "valid"
        event.body = {"body": event.body, "reasons": _told(found)}
        return "invalid"

    def _do(self, body: Any) -> Any:
        return self._judged(body, self.findings(body))

    def do_batch(self, bodies: Any) -> Any:
        """Return the bodies, tagged if so wanted; an Arrow batch that is good comes back as it is."""
        rows = bodies.to_pylist() if hasattr(bodies, "to_pylist") else bodies
        judged = [self._judged(body, self.findings(body)) for body in rows]
        return bodies if self._way == "reject" else judged

    def findings(self, body: Any) -> list[Finding]:
        """Return every broken rule."""
        found: list[Finding] = []
        if self._rules and not isinstance(body, Mapping):
            found.append(Finding("", "must be a mapping of fields", body))
        else:
            for rules in self._rules:
                found += rules.broken(body)
            if self._closed:
                found += [
                    Finding(str(name), "is not a known field", body[name]) for name in body if name not in self._known
                ]
        if self._schema is not None:
            found += self._schema(body)
        return found

    def _judged(self, body: Any, found: list[Finding]) -> Any:
        if self._way == "tag":
            return (
                {**body, self._tag: _told(found)}
                if isinstance(body, Mapping)
                else {"body": body, self._tag: _told(found)}
            )
        if found:
            raise BodyInvalid(_told(found))
        return body


def _told(found: list[Finding]) -> list[dict[str, Any]]:
    return [each._asdict() for each in found]


def _validator(checked: Checked, schema: Mapping[str, Any]) -> Any:
    try:
        from jsonschema import SchemaError
        from jsonschema.validators import Draft202012Validator, validator_for
        from jsonschema_specifications import REGISTRY
    except ImportError:
        raise LibraryMissing("jsonschema", "checking bodies against a JSON Schema", "steps") from None
    checked.mapping("schema", schema)
    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(dict(schema))
    except SchemaError as error:
        raise checked.refuse("schema", f"must be a JSON Schema ({error.message})", schema) from None
    _check_references(checked, schema, kind, REGISTRY)
    validator = kind(dict(schema), registry=REGISTRY)  # without it, a $ref would be fetched from the network

    def findings(body: Any) -> list[Finding]:
        errors = sorted(validator.iter_errors(body), key=lambda error: [str(part) for part in error.absolute_path])
        return [
            Finding(
                ".".join(str(part) for part in error.absolute_path),
                f"breaks the schema: {error.message}",
                error.instance,
            )
            for error in errors
        ]

    return findings


def _check_references(checked: Checked, schema: Mapping[str, Any], kind: Any, registry: Any) -> None:
    """Refuse a schema that refers to what is not in it: its first body would find out."""
    from referencing import Resource
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    def check(resource: Any, resolver: Any) -> None:
        told = resource.contents
        for word in ("$ref", "$dynamicRef") if isinstance(told, Mapping) else ():
            if isinstance(told.get(word), str):
                try:
                    resolver.lookup(told[word])
                except Unresolvable:
                    rule = f"must hold what its {word} names: nothing is fetched from elsewhere"
                    raise checked.refuse("schema", rule, told[word]) from None
        for inner in resource.subresources():
            check(inner, resolver.in_subresource(inner))

    whole = Resource.from_contents(
        {"$schema": kind.META_SCHEMA.get("$schema", ""), **schema}, default_specification=DRAFT202012
    )
    check(whole, registry.resolver_with_root(whole))
