import pytest

from modelyard.operations.keys import RunKey, folder_name, random_key


def test_the_try_is_no_part_of_the_key_but_the_index_of_a_fan_out_is() -> None:
    assert RunKey("flights", "scheduled__2026-11-01T00:00:00+00:00", "train").text == (
        "flights/scheduled__2026-11-01T00:00:00+00:00/train"
    )
    assert RunKey("flights", "r", "score", 0).text == "flights/r/score[0]"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (RunKey("a/b", "c", "d"), RunKey("a", "b/c", "d")),
        (RunKey("a", "b", "c/d"), RunKey("a", "b/c", "d")),
        (RunKey("a", "b", "c[1]"), RunKey("a", "b", "c", 1)),
        (RunKey("a%2Fb", "c", "d"), RunKey("a/b", "c", "d")),
        (RunKey("a", "b", "c", 1), RunKey("a", "b", "c", 11)),
    ],
)
def test_different_keys_have_different_texts(one: RunKey, other: RunKey) -> None:
    assert one.text != other.text


@pytest.mark.parametrize("key", ["flights/run 1/train", "../../etc/passwd", "..", "", "ключ", "x" * 900, "a\nb", "/"])
def test_any_key_has_a_folder_of_its_own(key: str) -> None:
    name = folder_name(key)

    assert "/" not in name
    assert not name.startswith(".")
    assert len(name) <= 93
    assert name.isascii()
    assert name != folder_name(key + " ")


def test_keys_that_look_alike_as_folders_are_still_apart() -> None:
    assert folder_name("a/b") != folder_name("a-b")
    assert folder_name("a/b").startswith("a-b-")


def test_random_keys_differ() -> None:
    assert len({random_key() for _ in range(1000)}) == 1000
