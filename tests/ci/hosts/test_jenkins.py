import pytest

from modelyard.ci.hosts import detect

COMMON = {
    "JENKINS_URL": "https://ci.example.com/",
    "BUILD_URL": "https://ci.example.com/job/1/",
    "GIT_COMMIT": "a" * 40,
}


def test_a_change_on_github() -> None:
    found = detect(
        COMMON
        | {"CHANGE_ID": "12", "CHANGE_URL": "https://github.com/acme/flights/pull/12", "CHANGE_TARGET": "main"}
        | {"CHANGE_BRANCH": "better", "BRANCH_NAME": "PR-12", "GITHUB_TOKEN": "x"}
    )

    assert (found.host, found.forge, found.event, found.request) == ("jenkins", "github", "request", 12)
    assert (found.repository, found.api) == ("acme/flights", "https://api.github.com")
    assert (found.branch, found.base_branch, found.head_commit) == ("better", "main", "a" * 40)
    assert (found.token.variable, found.run_url) == ("GITHUB_TOKEN", "https://ci.example.com/job/1/")


def test_a_change_on_an_enterprise_server() -> None:
    found = detect(COMMON | {"CHANGE_URL": "https://git.example.com/acme/flights/pull/3"})
    assert (found.api, found.request) == ("https://git.example.com/api/v3", 3)


def test_a_change_on_gitlab() -> None:
    found = detect(COMMON | {"CHANGE_URL": "https://git.example.com/ml/team/flights/-/merge_requests/5"})
    assert (found.forge, found.request, found.repository) == ("gitlab", 5, "ml/team/flights")
    assert (found.api, found.project_id) == ("https://git.example.com/api/v4", "ml%2Fteam%2Fflights")


@pytest.mark.parametrize(
    ("remote", "forge", "repository"),
    [
        ("git@github.com:acme/flights.git", "github", "acme/flights"),
        ("https://ada:secret@github.com/acme/flights.git", "github", "acme/flights"),
        ("ssh://git@gitlab.example.com:2222/ml/flights.git", "gitlab", "ml/flights"),
        ("https://code.example.com/flights.git", "none", "flights"),
    ],
)
def test_a_branch_finds_its_forge_by_the_remote(remote: str, forge: str, repository: str) -> None:
    found = detect(COMMON | {"GIT_URL": remote, "BRANCH_NAME": "main"})
    assert (found.forge, found.repository, found.event, found.request) == (forge, repository, "push", 0)
    assert "secret" not in str(found)


def test_a_branch_is_compared_with_the_last_build_that_succeeded() -> None:
    variables = COMMON | {"GIT_PREVIOUS_COMMIT": "b" * 40, "GIT_URL": "https://github.com/acme/flights"}
    assert detect(variables).base_commit == ""  # none did: all of the project counts
    assert detect(variables | {"GIT_PREVIOUS_SUCCESSFUL_COMMIT": "c" * 40}).base_commit == "c" * 40


def test_no_host() -> None:
    found = detect({})
    assert (found.host, found.event, found.forge, found.token.ability) == ("none", "none", "none", "none")
