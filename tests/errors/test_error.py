import pickle

import msgspec
import pytest

from modelyard.errors import ErrorKind, ErrorRecord, ForeignError, ModelyardError, near_name


class PortTaken(ModelyardError):
    kind = ErrorKind.CONFLICT

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} is taken", where="deploy.port", mend="Choose another.", facts={"port": port})


def test_an_error_says_where_what_and_how_to_mend() -> None:
    assert str(PortTaken(80)) == "deploy.port: port 80 is taken. Choose another."
    assert str(ModelyardError("it broke!")) == "it broke!"


def test_an_error_crosses_a_process_as_json_and_keeps_its_kind() -> None:
    sent = msgspec.json.encode(PortTaken(80).record())
    arrived = ForeignError(msgspec.json.decode(sent, type=ErrorRecord))

    assert str(arrived) == str(PortTaken(80))
    assert arrived.outcome.exit_code == 4
    assert arrived.facts == {"port": 80}
    assert arrived.record().type == "PortTaken"


def test_an_error_survives_pickling_between_processes() -> None:
    arrived = pickle.loads(pickle.dumps(PortTaken(80)))

    assert arrived.error_kind is ErrorKind.CONFLICT
    assert str(arrived) == str(PortTaken(80))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("chanpion", "Did you mean champion?"), ("zzz", "Known: challenger, champion.")],
)
def test_a_wrong_name_gets_the_nearest_known_one(name: str, sentence: str) -> None:
    assert near_name(name, ["champion", "challenger"]) == sentence
