import pytest

from modelyard.ci.redaction import Redaction


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        ("GITHUB_TOKEN", True),
        ("DB_PASSWORD", True),
        ("AWS_SECRET_ACCESS_KEY", True),
        ("OPENAI_API_KEY", True),
        ("APIKEY", True),
        ("SENTRY_DSN", True),
        ("MODELYARD_FORGE_TOKEN", True),
        ("CI_COMMIT_SHA", False),
        ("AZURE_STORAGE_KEY", True),
        ("DB_PASS", True),
        ("MYSQL_PWD", True),
        ("GPG_PASSPHRASE", True),
        ("MODELYARD_KEY", False),
        ("SSH_PUBLIC_KEY", False),
        ("PWD", False),
        ("OLDPWD", False),
        ("GIT_ASKPASS", False),
        ("KEYBOARD", False),
        ("GITHUB_REPOSITORY", False),
    ],
)
def test_by_its_name_a_variable_is_secret(name: str, hidden: bool) -> None:
    assert (Redaction.of({name: "value-of-it"})("say value-of-it") == "say ***") is hidden


def test_a_secret_that_holds_another() -> None:
    assert Redaction(["abcdef", "abcdefgh"])("abcdefgh abcdef") == "*** ***"


def test_what_is_too_short_is_left() -> None:
    assert Redaction(["test", ""])("a test") == "a test"


@pytest.mark.parametrize("form", ['a"\\b c/d', 'a\\"\\\\b c/d', "'a\"\\\\b c/d'", "a%22%5Cb%20c%2Fd"])
def test_a_secret_as_programs_write_it(form: str) -> None:
    assert "b c/d" not in Redaction(['a"\\b c/d'])(form)
    assert "b%20c" not in Redaction(['a"\\b c/d'])(form)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://ada:pw@git.example.com/x", "https://***@git.example.com/x"),
        ("https://ada:p@ss@git.example.com/x", "https://***@git.example.com/x"),
        ("https://ghp_0123456789@git.example.com", "https://***@git.example.com"),
        ("redis://:pw@cache.example.com:6379/0", "redis://***@cache.example.com:6379/0"),
        ("ssh://git@git.example.com/x", "ssh://git@git.example.com/x"),
        ("https://example.com/@ada", "https://example.com/@ada"),
        ("https://example.com?mail=ada@example.com", "https://example.com?mail=ada@example.com"),
        ("https://example.com:8080/a b@c", "https://example.com:8080/a b@c"),
    ],
)
def test_the_user_in_an_address(address: str, shown: str) -> None:
    assert Redaction([])(f"git clone {address} now") == f"git clone {shown} now"
