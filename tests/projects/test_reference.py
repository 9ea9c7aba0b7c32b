"""git+URL@ref#subfolder, taken apart."""

import pytest

from modelyard.projects import ProjectReferenceInvalid
from modelyard.projects.reference import parse_git_reference

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "url", "ref", "subfolder"),
    [
        ("git+https://example.com/ml/flights.git", "https://example.com/ml/flights.git", "", ""),
        ("git+https://example.com/x@main", "https://example.com/x", "main", ""),
        ("git+https://example.com/x@release/1.0#a/b", "https://example.com/x", "release/1.0", "a/b"),
        ("git+https://example.com/x#a/b/", "https://example.com/x", "", "a/b"),
        ("git+https://example.com/x#.", "https://example.com/x", "", ""),
        (f"git+https://me:pw@example.com:8443/x@{SHA}", "https://example.com:8443/x", SHA, ""),
        ("git+ssh://git@example.com/ml/x.git@v1", "ssh://git@example.com/ml/x.git", "v1", ""),
        ("git+file:///srv/x.git@refs/pull/7/head", "file:///srv/x.git", "refs/pull/7/head", ""),
    ],
)
def test_parts(text: str, url: str, ref: str, subfolder: str) -> None:
    reference = parse_git_reference(text)

    assert (reference.url, reference.ref, reference.subfolder) == (url, ref, subfolder)
    assert reference.is_exact is (ref == SHA)
    assert "pw" not in repr(reference)


def test_the_credentials_stay_in_the_address_to_fetch_from() -> None:
    assert parse_git_reference("git+https://me:pw@example.com/x@v1").secret_url == "https://me:pw@example.com/x"


def test_a_repository_has_one_folder_name_whoever_asks() -> None:
    one, two = (parse_git_reference(f"git+https://{who}example.com/Ml.Flights.git") for who in ("", "me:pw@"))

    assert one.slug() == two.slug()
    assert one.slug().startswith("ml-flights-")
    assert one.slug() != one.slug("sub")


SCHEMES = "the repository's address must begin with https, http, ssh, git or file://"
FORM = "Give a path, or git+URL@ref#subfolder."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("git+git@example.com:ml/x.git", f"{SCHEMES}. Write git+ssh://git@HOST/PATH."),
        ("git+ext::sh -c whoami", f"{SCHEMES}. {FORM}"),
        ("git+/srv/x.git", f"{SCHEMES}. {FORM}"),
        ("git+https:///x", f"the repository's address has no host or no path. {FORM}"),
        ("git+https://example.com", f"the repository's address has no host or no path. {FORM}"),
        ("git+https://example.com/x@", f"'' is not the name of a branch, tag or commit. {FORM}"),
        (
            "git+https://example.com/x@--upload-pack=y",
            f"'--upload-pack=y' is not the name of a branch, tag or commit. {FORM}",
        ),
        ("git+https://example.com/x@a..b", f"'a..b' is not the name of a branch, tag or commit. {FORM}"),
        ("git+https://example.com/x#../y", f"the subfolder must lie in the repository, got '../y'. {FORM}"),
        ("git+https://example.com/x#/etc", f"the subfolder must lie in the repository, got '/etc'. {FORM}"),
    ],
)
def test_what_has_another_form_is_refused(text: str, message: str) -> None:
    with pytest.raises(ProjectReferenceInvalid) as caught:
        parse_git_reference(text)

    assert str(caught.value) == f"project reference {text}: {message}"


def test_a_refusal_does_not_repeat_credentials() -> None:
    with pytest.raises(ProjectReferenceInvalid) as caught:
        parse_git_reference("git+https://me:pw@example.com/x@a..b")

    assert "pw" not in str(caught.value)
