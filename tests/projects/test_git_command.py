import pytest

from modelyard.projects import git_command


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("stderr: 'fatal: repository not found.'", "repository not found"),
        ("warning: slow\nerror: no such branch\nhint: look", "no such branch"),
        ("ssh: no route to host\nfatal: Could not read from remote repository.", "ssh: no route to host"),
        ("fatal: Could not read from remote repository.", "Could not read from remote repository"),
        ("remote: Could not read from remote repository.", "remote: Could not read from remote repository"),
        ("fatal: https://me:pw@example.com/x is gone", "https://example.com/x is gone"),
        ("", "git said nothing"),
    ],
)
def test_the_reason_is_the_line_that_tells_most(said: str, reason: str) -> None:
    assert git_command._reason(said) == reason
