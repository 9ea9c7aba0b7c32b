"""What the generator writes is source that people, linters and type checkers accept."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from modelyard.operations import OperationSpec
from modelyard.operations.generation import operator_modules, operator_package, operator_source

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory, specs: list[OperationSpec]) -> Path:
    folder = tmp_path_factory.mktemp("generated") / "modelyard/operators/airflow"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(operator_package(specs, "modelyard.operators.airflow"))
    for name, source in operator_modules(specs).items():
        (folder / name).write_text(source)
    return folder


def _constructor(source: str) -> ast.FunctionDef:
    tree = ast.parse(source)
    return next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "__init__")


def test_the_signature_is_typed_keyword_only_and_has_the_declared_defaults(wide_spec: OperationSpec) -> None:
    arguments = _constructor(operator_source(wide_spec)).args
    signature = {
        each.arg: (ast.unparse(each.annotation or ast.Constant(None)), default and ast.unparse(default))
        for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    }

    assert [each.arg for each in arguments.args] == ["self"]
    assert signature == {
        "text": ("Templated[str]", None),
        "dataset": ("Templated[str]", None),
        "count": ("Templated[int] | None", "None"),
        "big": ("Templated[int]", "100000000000000000000"),
        "ratio": ("Templated[float]", "0.5"),
        "flag": ("Templated[bool]", "True"),
        "choice": ("Templated[Literal['a', 'b|c']]", "'b|c'"),
        "phrase": ("Templated[str]", repr('say "hi", it\'s\n')),
        "names": ("Templated[Sequence[Templated[str]]]", "()"),
        "sizes": ("Templated[Sequence[Templated[Sequence[Templated[int]]]]]", "((1, 2), (3,))"),
        "settings": ("Templated[Mapping[str, Any]] | None", "None"),
        "limits": ("Templated[Mapping[str, Templated[float]]] | None", "None"),
        "models": ("Templated[Mapping[str, Templated[str]]] | None", "None"),
        "anything": ("Any", "None"),
    }


def test_a_mapping_default_is_made_anew_for_every_task(wide_spec: OperationSpec) -> None:
    assigned = {ast.unparse(node) for node in _constructor(operator_source(wide_spec)).body}

    assert "self.settings = {} if settings is None else settings" in assigned
    assert "self.models = {'a': 'models:/a@champion'} if models is None else models" in assigned
    assert "self.limits = limits" in assigned


def test_all_parameters_are_templated_and_structures_are_shown_as_json(wide_spec: OperationSpec) -> None:
    tree = ast.parse(operator_source(wide_spec))
    declared = {
        ast.unparse(node.target): ast.literal_eval(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign) and node.value and ast.unparse(node.target) != "operator_extra_links"
    }
    names = [each.name for each in wide_spec.parameters]

    assert list(declared["template_fields"]) == [*names, "conn_id", "project", "environment", "key", "python"]
    assert declared["operation_name"] == "wide-probe"
    assert declared["template_fields_renderers"] == dict.fromkeys(
        ["names", "sizes", "settings", "limits", "models", "anything"], "json"
    )


def test_the_docstring_tells_parameters_types_defaults_and_results(wide_spec: OperationSpec) -> None:
    text = ast.get_docstring(
        next(node for node in ast.parse(operator_source(wide_spec)).body if isinstance(node, ast.ClassDef))
    )

    assert text is not None
    assert "\nbig\n    What it is; `code` and ``literals`` stay, and a | too. (a whole number; default " in text
    assert "- ``note``: A note with a | and `code`." in text
    assert text.splitlines()[0].endswith("on the first line of a text.")


def test_an_operation_without_parameters_has_an_operator_too(bare_spec: OperationSpec) -> None:
    assert "def __init__(self, **kwargs: Unpack[OperationArguments]) -> None:" in operator_source(bare_spec)


def test_the_package_offers_every_operator_and_imports_none(package: Path) -> None:
    tree = ast.parse((package / "__init__.py").read_text())
    offered = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )

    assert offered == ["BareOperator", "OperationOperator", "WideProbeOperator"]
    assert [node.names[0].name for node in tree.body if isinstance(node, ast.ImportFrom | ast.Import)] == [
        "import_module",
        "TYPE_CHECKING",
    ]


LINT = ("check", "--extend-ignore", "I001,PLR0913")


@pytest.mark.parametrize("command", [LINT, ("format", "--diff")], ids=["check", "format"])
def test_linter_and_formatter_have_nothing_to_say(package: Path, command: tuple[str, ...]) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--config", REPOSITORY / "pyproject.toml", package],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
