import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from modelyard.operations import OperationSpec
from modelyard.operations.catalogue import Catalogue, build_catalogue, load_catalogue, load_operation
from modelyard.operations.errors import DeclarationInvalid, OperationAmbiguous, OperationNotFound
from modelyard.operations.invocation import Invocation
from modelyard.operations.journal import Journal
from modelyard.operations.launchers import ProcessLauncher
from modelyard.operations.states import RunState

REPOSITORY = Path(__file__).parents[2]
PACKAGED = REPOSITORY / "provider/modelyard/operations/catalogue.json"
OURS = ["call", "deploy", "evaluate", "predict", "promote", "register", "rollback", "run", "train", "undeploy"]

GREET = '''
import msgspec
from modelyard.operations import OperationContext, operation

class Greeting(msgspec.Struct, frozen=True):
    """A greeting.

    Attributes
    ----------
    text
        What is said.
    """

    text: str

@operation(kind="greet", side_effects="none")
def greet(context: OperationContext, *, name: str = "you") -> Greeting:
    """Greet somebody.

    Parameters
    ----------
    name
        Who.
    """
    return Greeting(f"hello {name}")

not_an_operation = 7
'''


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Make distributions with entry points, importable here and in children."""
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), os.environ["PYTHONPATH"]]))

    def make(name: str, source: str, **points: str) -> None:
        info = tmp_path / f"site/{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (tmp_path / f"site/{name}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = "".join(f"{point.replace('_', '-')} = {value}\n" for point, value in points.items())
        (info / "entry_points.txt").write_text(f"[modelyard.operations]\n{lines}")
        load_catalogue.cache_clear()

    yield make
    load_catalogue.cache_clear()


def test_the_packaged_catalogue_is_the_one_that_the_declarations_give() -> None:
    built = build_catalogue()

    assert [each["name"] for each in json.loads(built)] == OURS
    assert built == build_catalogue()
    assert PACKAGED.read_bytes() == built, "run: make generate"


def test_our_own_operations_are_known_without_their_implementations() -> None:
    code = """
import sys
from modelyard.operations.catalogue import load_catalogue
catalogue = load_catalogue()
print(catalogue.spec("train").name, "train" in catalogue, len(list(catalogue)) >= 9)
strange = [name for name in sys.modules if name.startswith("modelyard.")]
print(*(name for name in strange if name.split(".")[1] not in ("errors", "operations")))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "train True True\n\n"


def test_an_unknown_operation_suggests_the_nearest() -> None:
    with pytest.raises(OperationNotFound, match=r"there is no operation 'trian'\. Did you mean train\?"):
        load_catalogue().spec("trian")
    with pytest.raises(OperationNotFound):
        load_operation("trian")


def test_the_operation_of_another_distribution_is_found_and_run(
    install: object, journal: Journal, tmp_path: Path
) -> None:
    assert callable(install)
    install("greetings", GREET, greet="greetings:greet")
    catalogue = load_catalogue()

    assert "greet" in catalogue
    assert "greetings" not in sys.modules, "its name is known before it is imported"
    spec = catalogue.spec("greet")
    assert (spec.summary, [each.name for each in spec.parameters]) == ("Greet somebody.", ["name"])
    assert load_operation("greet").spec == spec
    launcher = ProcessLauncher(journal)
    request = Invocation(operation="greet", parameters=spec.bind({"name": "Ü"}), project=str(tmp_path), key="k")
    handle = launcher.submit(request)
    assert launcher.wait(handle) is RunState.SUCCEEDED
    assert launcher.result(handle) == {"text": "hello Ü"}


def test_ours_cannot_be_replaced(install: object) -> None:
    assert callable(install)
    before = load_catalogue().spec("undeploy")
    install("sneaky", GREET, undeploy="sneaky:greet")

    assert load_catalogue().spec("undeploy") == before
    assert load_operation("undeploy").spec == before


def test_two_others_of_one_name_are_ambiguous(install: object) -> None:
    assert callable(install)
    install("greetings_one", GREET, greet="greetings_one:greet")
    install("greetings_two", GREET, greet="greetings_two:greet")

    assert "greet" in load_catalogue()
    with pytest.raises(OperationAmbiguous, match="'greet' is declared by greetings_one and greetings_two"):
        load_catalogue().spec("greet")


@pytest.mark.parametrize(
    ("point", "value", "rule"),
    [
        ("greet", "broken_{}:not_an_operation", "must name an operation, got int"),
        ("greet", "broken_{}:missing", "has no attribute 'missing'"),
        ("welcome", "broken_{}:greet", "names the operation 'greet'; both names must be the same"),
    ],
)
def test_an_entry_point_that_leads_astray(install: object, point: str, value: str, rule: str) -> None:
    assert callable(install)
    name = f"broken_{abs(hash(rule))}"
    install(name, GREET, **{point: value.replace("broken_{}", name)})

    with pytest.raises(DeclarationInvalid, match=rule):
        load_catalogue().spec(point)


def test_a_catalogue_is_a_mapping_in_order() -> None:
    specs = msgspec.json.decode(PACKAGED.read_bytes(), type=list[OperationSpec])
    catalogue = Catalogue({spec.name: spec for spec in reversed(specs)}, {})

    assert list(catalogue) == sorted(spec.name for spec in specs)
    assert dict(catalogue)["call"] == next(spec for spec in specs if spec.name == "call")
    assert len(catalogue) == len(specs)
    with pytest.raises(KeyError):
        catalogue["nothing"]
