"""What a forge does wrong: it is retried where that does no harm, and named."""

from collections.abc import Callable, Iterator

import httpx
import pytest
from fake_forge import Fault, Forge

from modelyard.ci.errors import ForgeDenied, ForgeNotFound, ForgeRefused, ForgeUnreachable
from modelyard.ci.forges import Patience
from modelyard.ci.forges.connection import Connection
from modelyard.ci.forges.github import GitHubForge

PLACE = "repos/acme/flights/issues/7/comments"


@pytest.fixture
def slept() -> list[float]:
    return []


Connect = Callable[..., Connection]


@pytest.fixture
def connect(forge: Forge, slept: list[float]) -> Iterator[Connect]:
    made = []

    def connection(token: str = "forge-secret-write", api: str = "", **patience: float) -> Connection:
        patient = Patience(**{"seconds": 30, "tries": 4, "pause": 1, "timeout": 5, **patience}, sleep=slept.append)  # type: ignore[arg-type]
        made.append(Connection(api or forge.github, GitHubForge.headers(token), patient))
        return made[-1]

    yield connection
    for each in made:
        each.close()


@pytest.fixture
def github(connect: Connect) -> GitHubForge:
    return GitHubForge(connect(), "acme/flights")


def test_a_server_error_is_asked_again(forge: Forge, github: GitHubForge, slept: list[float]) -> None:
    forge.faults.append(Fault(method="GET", path="comments", status=502, times=2))

    assert github.comments(7) == []
    assert [each["status"] for each in forge.log] == [502, 502, 200]
    assert [1 <= slept[0] <= 1.25, 2 <= slept[1] <= 2.5, len(slept)] == [True, True, 2]


def test_a_page_instead_of_an_answer_is_named(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a proxy asks people to log in with has the status 200, too."""
    connection = connect()
    page = httpx.Response(200, text="<html>log in", request=httpx.Request("GET", "http://proxy"))
    monkeypatch.setattr(httpx.Client, "request", lambda *_, **__: page)
    with pytest.raises(ForgeUnreachable, match="the answer is no JSON; is this the address of an API"):
        connection.send("GET", "user")


def test_after_some_tries_it_is_named(forge: Forge, github: GitHubForge) -> None:
    forge.faults.append(Fault(status=503, times=9, message="down for repair"))

    with pytest.raises(ForgeUnreachable) as caught:
        github.comments(7)
    assert str(caught.value) == (
        f"GET {PLACE}: the forge does not answer: status 503, down for repair, 4 times. Run the job again later."
    )
    assert len(forge.log) == 4


@pytest.mark.parametrize("status", [429, 403])
def test_a_limit_waits_as_long_as_it_says(forge: Forge, github: GitHubForge, slept: list[float], status: int) -> None:
    forge.faults.append(Fault(status=status, headers={"Retry-After": "7"}, message="slow down"))

    github.create_comment(7, "hello")  # nothing was done: even what must not be done twice is sent again

    assert slept == [7.0]
    assert [each["body"] for each in forge.comments[7]] == ["hello"]


def test_a_limit_that_is_too_long_is_not_waited_for(forge: Forge, github: GitHubForge, slept: list[float]) -> None:
    forge.faults.append(Fault(status=429, headers={"Retry-After": "3600"}, times=9))

    with pytest.raises(ForgeUnreachable) as caught:
        github.comments(7)
    assert caught.value.what.endswith("once, and asks to come again in 3600 s")
    assert slept == []


def test_a_comment_is_not_sent_again_when_it_may_have_been_written(forge: Forge, github: GitHubForge) -> None:
    forge.faults.append(Fault(method="POST", path="comments", status=0, after=True))

    with pytest.raises(ForgeUnreachable):
        github.create_comment(7, "hello")
    assert len(forge.asked("POST")) == 1
    assert [each["body"] for each in forge.comments[7]] == ["hello"]


def test_an_answer_that_does_not_come(forge: Forge, connect: Connect) -> None:
    forge.faults.append(Fault(status=200, seconds=1.0, times=9))
    connection = connect(tries=2, pause=0, timeout=0.1)

    with pytest.raises(ForgeUnreachable, match="Timeout"):
        connection.send("GET", "user")


def test_nobody_listens(connect: Connect, slept: list[float]) -> None:
    connection = connect(api="http://127.0.0.1:9", tries=2, pause=0)

    with pytest.raises(ForgeUnreachable, match="ConnectError"):
        connection.send("POST", "user", {}, repeatable=False)
    assert len(slept) == 1


def test_a_wrong_token(forge: Forge, connect: Connect) -> None:
    github = GitHubForge(connect("forge-secret-nobody"), "acme/flights")
    with pytest.raises(ForgeDenied) as caught:
        github.author()
    assert str(caught.value) == (
        "GET user: the forge answered 401: Bad credentials. Look whether the token is right and has not expired."
    )
    assert len(forge.log) == 1


def test_a_weak_token(connect: Connect) -> None:
    github = GitHubForge(connect("forge-secret-read"), "acme/flights")
    with pytest.raises(ForgeDenied, match=r"Resource not accessible by integration\. See docs/ci/tokens\.md"):
        github.create_comment(7, "hello")


def test_no_such_request(forge: Forge, github: GitHubForge) -> None:
    with pytest.raises(ForgeNotFound) as caught:
        github.request(8)
    assert caught.value.where == "GET repos/acme/flights/pulls/8"


def test_what_is_sent_is_held_to_the_official_description(connect: Connect) -> None:
    connection = connect()
    with pytest.raises(ForgeRefused, match="'body' is a required property"):
        connection.send("POST", PLACE, {"text": "hello"})
    with pytest.raises(ForgeRefused, match="is not one of"):
        connection.send("POST", "repos/acme/flights/statuses/abc", {"state": "good"})


def test_lists_are_read_to_their_end(forge: Forge, github: GitHubForge) -> None:
    for number in range(230):
        forge.comments[7].append({"id": number, "body": str(number), "user": {"login": "ada"}})
    assert [each.body for each in github.comments(7)] == [str(number) for number in range(230)]
    assert len(forge.log) == 3


def test_a_proxy_is_used(forge: Forge, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", forge.url)
    monkeypatch.setenv("NO_PROXY", "")
    connection = connect(api="http://forge.invalid/github", tries=1)
    with pytest.raises(ForgeDenied):
        connection.send("GET", "user")
    assert len(forge.log) == 1  # the name leads nowhere: the proxy was asked
