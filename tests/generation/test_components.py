"""The components that the generator writes are source that KFP, linters and the formatter accept."""

import ast
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from modelyard.operations import DeclarationInvalid, OperationSpec, ResultField
from modelyard.operations.generation import component_modules, component_package, component_source, components_class
from modelyard.operations.generation.components import artifacts_of
from modelyard.operations.types import ParameterType

REPOSITORY = Path(__file__).parents[2]


def _function(source: str) -> ast.FunctionDef:
    return next(node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))


def test_every_parameter_has_a_type_of_kfps_and_the_declared_default(wide_spec: OperationSpec) -> None:
    arguments = _function(component_source(wide_spec)).args
    defaults = [None] * (len(arguments.args) - len(arguments.defaults)) + list(arguments.defaults)
    signature = {
        each.arg: (ast.unparse(each.annotation or ast.Constant(None)), default and ast.unparse(default))
        for each, default in zip(arguments.args, defaults, strict=True)
    }

    assert signature == {
        "text": ("str", None),
        "model_artifact": ("dsl.Output[dsl.Model]", None),
        "summary_artifact": ("dsl.Output[dsl.Markdown]", None),
        "dataset": ("str", "''"),
        "count": ("Optional[int]", "None"),
        "big": ("int", "100000000000000000000"),
        "ratio": ("float", "0.5"),
        "flag": ("bool", "True"),
        "choice": ("str", "'b|c'"),
        "phrase": ("str", repr('say "hi", it\'s\n')),
        "names": ("list", "[]"),
        "sizes": ("list", "[[1, 2], [3]]"),
        "settings": ("dict", "{}"),
        "limits": ("Optional[dict]", "None"),
        "models": ("dict", "{'a': 'models:/a@champion'}"),
        "anything": ("str", "'null'"),
        "dataset_from": ("Optional[dsl.Input[dsl.Dataset]]", "None"),
        **dict.fromkeys(
            ("project", "environment", "key", "workflow_run", "step", "library", "exact"),
            ("str", "''"),
        ),
    }


def test_outputs_are_the_fields_of_the_result_and_the_whole(wide_spec: OperationSpec) -> None:
    returned = _function(component_source(wide_spec)).returns

    assert returned is not None
    assert ast.unparse(returned) == "NamedTuple('Outputs', [('model', str), ('note', str), ('result', str)])"


def test_the_body_hands_everything_over(wide_spec: OperationSpec) -> None:
    body = [ast.unparse(node) for node in _function(component_source(wide_spec)).body[1:]]

    assert body == [
        "given = dict(locals())",
        "from modelyard.operators.kfp.carrying import carry",
        "return carry('wide-probe', given)",
    ]


def test_artifacts_follow_from_the_types_of_the_result(wide_spec: OperationSpec) -> None:
    numbers = ParameterType("mapping", item=ParameterType("number"))
    spec = msgspec.structs.replace(
        wide_spec, results=(ResultField("rows", ParameterType("dataset")), ResultField("scores", numbers))
    )

    assert [(port.name, port.type) for port in artifacts_of(spec)] == [
        ("rows_artifact", "Dataset"),
        ("scores_artifact", "Metrics"),
        ("summary_artifact", "Markdown"),
    ]


def test_two_ports_of_one_name_are_refused(wide_spec: OperationSpec) -> None:
    spec = msgspec.structs.replace(wide_spec, results=(ResultField("result", ParameterType("string")),))

    with pytest.raises(DeclarationInvalid, match=r"wide-probe\.result: the name 'result' belongs to kfp"):
        component_source(spec)


def test_kfp_can_read_the_source(specs: list[OperationSpec]) -> None:
    for source in component_modules(specs).values():
        assert "from __future__ import annotations" not in source
        assert " | None" not in ast.unparse(_function(source).args)


LINT = ("check", "--extend-ignore", "I001,PLR0913,PLR0917,B006,UP045")


@pytest.mark.parametrize("command", [LINT, ("format", "--diff")], ids=["check", "format"])
def test_linter_and_formatter_have_nothing_to_say(
    specs: list[OperationSpec], tmp_path: Path, command: tuple[str, ...]
) -> None:
    folder = tmp_path / "modelyard/operators/kfp"
    folder.mkdir(parents=True)
    sources = {**component_modules(specs), "components.py": components_class(specs), "__init__.py": component_package()}
    for name, source in sources.items():
        (folder / name).write_text(source)
    result = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--config", REPOSITORY / "pyproject.toml", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
