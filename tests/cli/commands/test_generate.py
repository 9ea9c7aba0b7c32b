from pathlib import Path

from command_lines import Command


def test_a_folder_that_is_no_checkout_is_refused(command: Command, tmp_path: Path) -> None:
    ended = command("generate", "--root", str(tmp_path), "--check")
    assert ended.out == ""
    assert ended.code != 0
    assert str(tmp_path) in ended.err
    assert ended.err.count("\n") == 1
