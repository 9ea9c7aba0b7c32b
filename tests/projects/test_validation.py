"""Every mistake in modelyard.yaml: line, field, rule, value, mend."""

from pathlib import Path

import pytest

from modelyard.errors import ErrorKind
from modelyard.projects import FunctionDefinition, ProjectInvalid, ResourcesDefinition
from modelyard.projects.validation import read_project_file

FULL = """\
name: flights
functions:
  delay-trainer:
    {handler: flights.training:fit, requirements: [scikit-learn], image: img:1, resources: {cpu: 2, memory: 4Gi}}
features: [flights.features]
graphs: {delays: flights.serving:delays}
workflows: {main: flights.workflows:main, nightly: flights.workflows:nightly}
environments:
  dev:  {tracking: sqlite:///.modelyard/mlflow.db, state: .modelyard/, deploy: {target: local}}
  prod: {tracking: ${MLFLOW_TRACKING_URI}, state: s3://ml-state/flights, deploy: {target: kubernetes, namespace: ml}}
"""


def _read(tmp_path: Path, text: str | bytes) -> Path:
    file = tmp_path / "modelyard.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_the_file_of_the_design_is_read_as_written(tmp_path: Path) -> None:
    file = read_project_file(_read(tmp_path, FULL))

    definition = file.definition
    assert definition.name == "flights"
    assert definition.functions == {
        "delay-trainer": FunctionDefinition(
            handler="flights.training:fit",
            requirements=("scikit-learn",),
            image="img:1",
            resources=ResourcesDefinition(cpu=2, memory="4Gi"),
        )
    }
    assert definition.features == ("flights.features",)
    assert definition.graphs == {"delays": "flights.serving:delays"}
    assert list(definition.workflows) == ["main", "nightly"]
    assert list(definition.environments) == ["dev", "prod"]
    assert definition.environments["prod"].tracking == "${MLFLOW_TRACKING_URI}"
    assert definition.environments["prod"].deploy == {"target": "kubernetes", "namespace": "ml"}
    assert file.lines["functions.delay-trainer.resources.memory"] == 4
    assert file.lines["environments.prod.deploy.namespace"] == 10


def test_a_name_is_enough(tmp_path: Path) -> None:
    definition = read_project_file(_read(tmp_path, "name: tiny")).definition

    assert (definition.name, definition.functions, definition.environments) == ("tiny", {}, {})


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    assert read_project_file(_read(tmp_path, b"\xef\xbb\xbfname: tiny\n")).definition.name == "tiny"


def test_anchors_and_merge_keys_work(tmp_path: Path) -> None:
    text = "name: x\nenvironments:\n  a: &a {state: one, python: py}\n  b:\n    <<: *a\n    state: two\n"
    environments = read_project_file(_read(tmp_path, text)).definition.environments

    assert (environments["b"].state, environments["b"].python) == ("two", "py")


F = "name: x\nfunctions:\n  fit:\n    handler: m:f\n"
E = "name: x\nenvironments:\n  dev:\n    "
NAME = "lower-case letters, digits, - and _, beginning with a letter, at most 63"
FIELDS = "Known: environments, features, functions, graphs, name, workflows."

WRONG = {
    "unknown key": ("name: x\nfuntions: {}", ":2: funtions: there is no such field. Did you mean functions?"),
    "unknown key, nothing near": ("name: x\nzzz: {}", f":2: zzz: there is no such field. {FIELDS}"),
    "unknown key of a function": (
        F + "    requirments: [a]",
        ":5: functions.fit.requirments: there is no such field. Did you mean requirements?",
    ),
    "unknown key of an environment": (
        E + "trackng: x",
        ":4: environments.dev.trackng: there is no such field. Did you mean tracking?",
    ),
    "no name": ("graphs: {}", f":1: name is missing. Add name: {NAME}."),
    "bad name": ("name: My Project", f':1: name: must be {NAME}, got "My Project".'),
    "long name": (f"name: {'a' * 64}", f':1: name: must be {NAME}, got "{"a" * 64}".'),
    "number as a name": ("name: 12", f':1: name: must be {NAME}, got the number 12. Put it in quotes: "12".'),
    "truth as a name": ("name: on", f':1: name: must be {NAME}, got the truth value on. Put it in quotes: "on".'),
    "nothing as a name": ("name:", f":1: name: must be {NAME}, got nothing."),
    "date": ("name: 2026-01-01", ':1: name: must be text, got the date 2026-01-01. Put it in quotes: "2026-01-01".'),
    "bad function name": (
        "name: x\nfunctions:\n  Fit: {handler: m:f}",
        f':3: functions.Fit: a name must be {NAME}, got "Fit".',
    ),
    "number as a key": ("name: x\nfunctions:\n  1: {}", ":3: functions: a name must be text, got 1. Put it in quotes."),
    "list as a key": (
        "name: x\nfunctions:\n  ? [a]\n  : b",
        ":3: functions: a name must be text, got a list. Put it in quotes.",
    ),
    "twice": ("name: x\ngraphs: {}\nname: y", ":3: name: is there twice, first in line 1. Remove one of them."),
    "twice inside": (
        F + "  fit:\n    handler: n:g",
        ":5: functions.fit: is there twice, first in line 3. Remove one of them.",
    ),
    "no handler": (
        "name: x\nfunctions:\n  fit: {}",
        ':3: functions.fit: handler is missing. Add handler: "package.module:name".',
    ),
    "handler without a colon": (
        "name: x\nfunctions:\n  fit:\n    handler: flights.training.fit",
        ':4: functions.fit.handler: must be "package.module:name", got "flights.training.fit".',
    ),
    "handler is a file": (
        "name: x\nfunctions:\n  fit:\n    handler: flights/training.py:fit",
        ':4: functions.fit.handler: must be "package.module:name", got "flights/training.py:fit".',
    ),
    "function is text": ("name: x\nfunctions:\n  fit: m:f", ':3: functions.fit: must be a mapping, got "m:f".'),
    "function is nothing": (
        "name: x\nfunctions:\n  fit:",
        ":3: functions.fit: must be a mapping, got nothing. Write {} for an empty one, or remove the line.",
    ),
    "functions is a list": ("name: x\nfunctions: [a]", ":2: functions: must be a mapping, got a list."),
    "requirements is text": (
        F + "    requirements: pandas",
        ':5: functions.fit.requirements: must be a list, got "pandas". Write [pandas].',
    ),
    "requirement is an option": (
        F + "    requirements:\n    - pandas\n    - --index-url=x",
        ':7: functions.fit.requirements[1]: must be a requirement such as "scikit-learn>=1.6", got "--index-url=x".',
    ),
    "requirement is a mapping": (
        F + "    requirements: [{a: b}]",
        ':5: functions.fit.requirements[0]: must be a requirement such as "scikit-learn>=1.6", got a mapping.',
    ),
    "python is a number": (
        F + "    python: 3.12",
        ":5: functions.fit.python: must be the name or path of an interpreter, got the number 3.12. "
        'Put it in quotes: "3.12".',
    ),
    "python is empty": (
        F + "    python: ''",
        ':5: functions.fit.python: must be the name or path of an interpreter, got "".',
    ),
    "image with a variable": (
        F + "    image: ${REGISTRY}/x",
        ':5: functions.fit.image: must be an image such as "registry.example.com/flights:1.4", got "${REGISTRY}/x".',
    ),
    "no processors": (F + "    resources: {cpu: 0}", ":5: functions.fit.resources.cpu: must be above 0, got 0."),
    "processors as text": (
        F + "    resources: {cpu: two}",
        ':5: functions.fit.resources.cpu: must be above 0, got "two".',
    ),
    "processors as truth": (
        F + "    resources: {cpu: yes}",
        ":5: functions.fit.resources.cpu: must be above 0, got the truth value yes.",
    ),
    "no number of processors": (
        F + "    resources: {cpu: .nan}",
        ":5: functions.fit.resources.cpu: must be above 0, got NaN.",
    ),
    "half a graphics processor": (
        F + "    resources: {gpu: 0.5}",
        ":5: functions.fit.resources.gpu: must be 0 or more, got the number 0.5.",
    ),
    "memory in words": (
        F + "    resources: {memory: 4 GB}",
        ':5: functions.fit.resources.memory: must be an amount such as "4Gi", got "4 GB".',
    ),
    "feature is a handler": (
        "name: x\nfeatures: [a.b:c]",
        ':2: features[0]: must be a module such as "flights.features", got "a.b:c".',
    ),
    "graph is no handler": (
        "name: x\ngraphs: {delays: flights}",
        ':2: graphs.delays: must be "package.module:name", got "flights".',
    ),
    "unknown target": (
        E + "deploy: {target: kubernets}",
        ':4: environments.dev.deploy.target: must be local or kubernetes, got "kubernets". Did you mean kubernetes?',
    ),
    "far target": (
        E + "deploy: {target: moon}",
        ':4: environments.dev.deploy.target: must be local or kubernetes, got "moon".',
    ),
    "no target": (
        E + "deploy: {port: 1}",
        ":4: environments.dev.deploy: target is missing. Add target: local or kubernetes.",
    ),
    "secret with a value": (
        E + "secrets: [token=abc]",
        ':4: environments.dev.secrets[0]: must be the name of a variable: capitals, digits and _, got "token=abc".',
    ),
    "bad variable": (
        E + "state: ${1A}/x",
        ':4: environments.dev.state: must hold a variable between ${ and }, got "${1A}/x". '
        "Write ${NAME} or ${NAME:-default}; $${ for a plain ${.",
    ),
    "unclosed variable": (
        E + "state: ${HOME",
        ':4: environments.dev.state: must hold a variable between ${ and }, got "${HOME". '
        "Write ${NAME} or ${NAME:-default}; $${ for a plain ${.",
    ),
    "a password is not repeated": (
        "name: https://me:secret@example.com",
        f':1: name: must be {NAME}, got "https://example.com".',
    ),
    "a tag": (
        "name: !!python/name:os.system x",
        ":1: name: cannot be read: could not determine a constructor for the tag",
    ),
    "an alias of itself": (
        E + "deploy: &d {target: local, more: *d}",
        ":4: environments.dev.deploy.more: the alias refers to the place that it stands in.",
    ),
    "merge of text": (E + "<<: text", ":4: environments.dev: << must name a mapping."),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_told_with_its_place_and_mend(case: str, tmp_path: Path) -> None:
    text, expected = WRONG[case]
    file = _read(tmp_path, text)

    with pytest.raises(ProjectInvalid) as caught:
        read_project_file(file)

    assert str(caught.value).startswith(f"{file}{expected}")
    assert caught.value.error_kind is ErrorKind.INVALID
    assert case == "a tag" or str(caught.value) == f"{file}{expected}"
    assert caught.value.facts["line"] == int(expected.split(":")[1])


MALFORMED = {
    "empty": ("", ': the file is empty. Write at least "name: my-project".'),
    "a comment": ("# nothing\n", ': the file is empty. Write at least "name: my-project".'),
    "a list": ("- a", ':1: must be a mapping, got a list. Begin with "name: my-project".'),
    "text": ("flights", ':1: must be a mapping, got text. Begin with "name: my-project".'),
    "a tab": (
        "name: x\nfunctions:\n\tfit: y",
        ":3:1: the YAML is malformed: while scanning for the next token, found character '\\t' "
        "that cannot start any token. Indent with spaces, not tabs.",
    ),
    "two colons": (
        "name: x\ngraphs: a: b",
        ":2:10: the YAML is malformed: mapping values are not allowed here. Put text that holds a colon in quotes.",
    ),
    "an open bracket": (
        "name: x\nfeatures: [a, b\ngraphs: {}",
        ":3:7: the YAML is malformed: while parsing a flow sequence, expected ',' or ']', but got ':'. "
        "Put text that holds brackets or commas in quotes.",
    ),
    "an unknown alias": (
        "name: *who",
        ":1:7: the YAML is malformed: found undefined alias 'who'. Define the anchor (&name) above its use.",
    ),
    "two documents": (
        "name: x\n---\nname: y",
        ":2:1: the YAML is malformed: expected a single document in the stream, but found another document. "
        "Keep one project in the file, without ---.",
    ),
    "bytes": (b"name: \xff\xfe", ": the file must be UTF-8 text, got the byte 0xff at offset 6. Save it as UTF-8."),
    "a bell": (
        "name: x\nfeatures: [\x07]",
        ":2: the YAML is malformed: the character '\\x07' is not allowed. Remove it.",
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_yaml_is_told_with_line_and_column(case: str, tmp_path: Path) -> None:
    text, expected = MALFORMED[case]
    file = _read(tmp_path, text)

    with pytest.raises(ProjectInvalid) as caught:
        read_project_file(file)

    assert str(caught.value) == f"{file}{expected}"


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "modelyard.yaml").mkdir()

    with pytest.raises(ProjectInvalid) as caught:
        read_project_file(tmp_path / "modelyard.yaml")

    assert str(caught.value) == f"{tmp_path}/modelyard.yaml: the file cannot be read: Is a directory."
