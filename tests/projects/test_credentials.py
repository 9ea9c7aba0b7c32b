"""No URL keeps a credential."""

import pytest

from modelyard.projects.credentials import without_credentials


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("https://me:secret@example.com/x", "https://example.com/x"),
        ("https://ghp_token@example.com/x", "https://example.com/x"),
        ("git+https://u:p@h/x and s3://k:s@b/y", "git+https://h/x and s3://b/y"),
        ("ssh://git@example.com/x", "ssh://git@example.com/x"),
        ("ssh://git:pw@example.com/x", "ssh://git@example.com/x"),
        ("https://example.com/a@b", "https://example.com/a@b"),
        ("somebody@example.com", "somebody@example.com"),
        ("postgresql://u:p%40x@db/m", "postgresql://db/m"),
        ("https://u:p@ss@example.com/x", "https://example.com/x"),
        ("ssh://git:p@w@example.com:22/x", "ssh://git@example.com:22/x"),
        ("https://u:p@h,https://v:q@i/y", "https://h,https://i/y"),
    ],
)
def test_user_and_password_go(text: str, clean: str) -> None:
    assert without_credentials(text) == clean
