"""New revisions on a part of the live traffic: who gets which, what decides, and that nothing is lost meanwhile."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import tritonclient.grpc as triton
from probe_endpoint import eventually, order_for, processes

from modelyard.deploy import EndpointNotFound, RevisionNotFound, RolloutStatus, SettingInvalid, read_endpoint
from modelyard.deploy.local.target import LocalTarget

STEPS = """
import time

def answer(body):
    if body and body.get("fail") == %r:
        raise ValueError("this revision cannot")
    return {"word": WORD, "p": 0.2 if WORD == "one" else 0.8}

WORD = %r
"""
TARGET = LocalTarget()
GATES: dict[str, Any] = {"requests": 20, "latency": 1000}


def module(word: str) -> str:
    return STEPS % (word, word)


def deploy(state: Path, word: str, *, rollout: Any = None, settings: Any = None, **changes: Any) -> Any:
    given = {"target": "local", **(settings or {}), **({"rollout": rollout} if rollout else {})}
    return TARGET.deploy(order_for(state, word, module=module(word), settings=given, **changes))


def status_of(state: Path) -> RolloutStatus:
    status = TARGET.rollout("delays", state)
    assert status is not None
    return status


def word_for(url: str, user: str = "", **body: Any) -> str:
    headers = {"x-user": user} if user else {}
    return str(httpx.post(url, json=body, headers=headers, timeout=30).json()["word"])


@contextmanager
def load(ask: Callable[[int], Any]) -> Iterator[list[Any]]:
    """Ask again and again while the block lasts."""
    answers: list[Any] = []
    done = threading.Event()

    def run() -> None:
        number = 0
        while not done.is_set():
            try:
                answers.append(ask(number))
            except Exception as error:  # noqa: BLE001 (the test looks at it)
                answers.append(error)
            number += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield answers
    finally:
        done.set()
        thread.join()


def test_a_canary_gets_its_share_by_key_and_is_promoted(state: Path) -> None:
    first = deploy(state, "one")
    steps = [{"share": 30, "seconds": 0.5}, {"share": 60, "seconds": 0.5}]
    rollout = {"steps": steps, "key": "X-User", "gates": {**GATES, "requests": 60}}
    second = deploy(state, "two", rollout=rollout, by="ada")
    assert (second.rollout, second.changed, second.previous) == ("canary", True, first.manifest.revision)
    users = [f"user-{number}" for number in range(100)]
    words = {user: word_for(first.url, user) for user in users[:40]}
    assert 4 <= Counter(words.values())["two"] <= 20
    assert {user: word_for(first.url, user) for user in users[:40]} == words
    record = read_endpoint(state, "delays")
    assert (record.revision, record.rollout and record.rollout.state) == (first.manifest.revision, "running")
    with httpx.Client(timeout=30) as client:
        ask = lambda number: client.post(first.url, json={}, headers={"x-user": users[number % 100]})  # noqa: E731
        with load(ask) as answers:
            eventually(lambda: status_of(state).state == "promoted")
    assert {each.status_code if isinstance(each, httpx.Response) else each for each in answers} == {200}
    assert word_for(first.url) == "two"
    status = status_of(state)
    assert (status.step, status.steps, status.by, status.share) == (2, 2, "ada", 0.0)
    assert status.challenger.requests >= 120
    assert status.gates["error_rate"] == "passed: 0.00% failed, of the champion's 0.00%"
    last = read_endpoint(state, "delays").history[-1]
    assert (last.revision, last.action, last.by) == (second.manifest.revision, "promote", "ada")
    eventually(lambda: len(processes(state, "serving")) == 1)


def test_a_canary_that_fails_is_rolled_back(state: Path) -> None:
    first = deploy(state, "one")
    second = deploy(state, "two", rollout={"gates": GATES}, traffic={"champion": 50, "challenger": 50})
    with load(lambda number: httpx.post(first.url, json={"fail": "two"}, timeout=30).status_code) as answers:
        eventually(lambda: status_of(state).state == "rolled_back")
    assert set(answers) == {200, 500}
    status = status_of(state)
    assert status.revision == second.manifest.revision
    assert status.reason.startswith("error_rate: 100.00% failed, of the champion's 0.00%")
    assert {word_for(first.url, fail="two") for _ in range(20)} == {"one"}
    assert read_endpoint(state, "delays").revision == first.manifest.revision


def test_a_challenger_that_is_killed_is_rolled_back_and_the_champion_answers_on(state: Path) -> None:
    first = deploy(state, "one")
    gates = {**GATES, "requests": 10**6, "error_rate": 1.0}
    second = deploy(state, "two", rollout={"gates": gates}, traffic={"challenger": 50})

    with httpx.Client(timeout=30) as client, load(lambda _: client.post(first.url, json={})) as answers:
        eventually(lambda: {"one", "two"} <= words_of(answers))
        revision = second.manifest.revision
        (challenger,) = (each for each in processes(state, "serving") if revision in str(each.cmdline()))
        challenger.kill()
        eventually(lambda: status_of(state).state == "rolled_back")
        seen = len(answers)
        eventually(lambda: len(answers) > seen + 20)
    codes = [each.status_code if isinstance(each, httpx.Response) else each for each in answers]
    assert set(codes) <= {200, 503}
    assert codes.count(503) <= 1  # what it was working on
    assert words_of(answers[seen + 1 :]) == {"one"}
    assert status_of(state).reason == "crashes: 1 of its workers ended, at most 0"
    assert status_of(state).gates["crashes"] == "failed: 1 of its workers ended, at most 0"
    assert read_endpoint(state, "delays").revision == first.manifest.revision
    eventually(lambda: len(processes(state, "serving")) == 1)


def words_of(answers: list[Any]) -> set[str]:
    """Return which revisions have answered."""
    return {each.json()["word"] for each in answers[:] if isinstance(each, httpx.Response) and each.status_code == 200}


def test_a_metric_of_the_replies_decides(state: Path) -> None:
    url = deploy(state, "one").url
    gates = {**GATES, "metric": {"field": "p", "change": 0.1}}
    deploy(state, "two", rollout={"gates": gates, "traffic": {"challenger": 50}})
    with load(lambda number: httpx.post(url, json={}, timeout=30).status_code) as answers:
        eventually(lambda: status_of(state).state == "rolled_back")
    assert set(answers) == {200}
    assert status_of(state).reason == "metric: mean of p 0.8, the champion's 0.2"


def test_a_shadow_is_never_seen_and_is_promoted(state: Path) -> None:
    url = deploy(state, "one").url
    second = deploy(state, "two", rollout={"gates": GATES, "seconds": 0.2}, shadow=True)
    assert second.rollout == "shadow"
    seen = []
    while status_of(state).state == "running":
        seen.append(word_for(url))
    # the traffic moves a moment before the record says so; until then nobody sees the shadow
    alone = seen.index("two") if "two" in seen else len(seen)
    assert set(seen[alone:]) <= {"two"}
    assert alone >= 20
    assert status_of(state).state == "promoted"
    assert word_for(url) == "two"


def test_rollback_ends_a_canary_and_promote_hurries_it(state: Path) -> None:
    first = deploy(state, "one")
    slow = {"gates": {**GATES, "requests": 10**6}}
    second = deploy(state, "two", rollout=slow, traffic={"challenger": 50})
    done = TARGET.rollback(order_for(state, by="bob"), "")
    assert (done.changed, done.manifest.revision, done.previous) == (
        True,
        first.manifest.revision,
        second.manifest.revision,
    )
    assert (status_of(state).state, status_of(state).reason) == ("rolled_back", "bob asked for it")
    assert {word_for(first.url) for _ in range(10)} == {"one"}
    deploy(state, "two", rollout=slow, traffic={"challenger": 50})
    assert TARGET.promote("delays", state, "eve")
    assert {word_for(first.url) for _ in range(10)} == {"two"}
    assert not TARGET.promote("delays", state, "eve")
    assert [(past.action, past.by) for past in read_endpoint(state, "delays").history][1:] == [("promote", "eve")]


def test_rollback_returns_to_any_revision_that_is_kept(state: Path) -> None:
    with pytest.raises(EndpointNotFound):
        TARGET.rollback(order_for(state), "")
    revisions = [deploy(state, word).manifest.revision for word in ("one", "two", "three")]
    url = read_endpoint(state, "delays").url
    back = TARGET.rollback(order_for(state, by="ada"), revisions[0][:5])
    assert (back.manifest.revision, back.previous, back.changed, back.url) == (revisions[0], revisions[2], True, url)
    assert word_for(url) == "one"
    assert TARGET.rollback(order_for(state), "").manifest.revision == revisions[2]
    with pytest.raises(RevisionNotFound, match=f"there is no revision 'zz'. Kept: {revisions[0]}, {revisions[1]}"):
        TARGET.rollback(order_for(state), "zz")
    history = read_endpoint(state, "delays").history
    assert [past.action for past in history] == ["deploy", "deploy", "deploy", "rollback", "rollback"]
    assert history[3].by == "ada"


def test_grpc_of_several_workers_is_split_and_survives_killed_workers(state: Path) -> None:
    settings = {"grpc_port": 0, "workers": 2}
    first = deploy(state, "one", settings=settings)
    host, _, port = first.grpc.partition(":")
    assert (host, int(port) > 0) == ("127.0.0.1", True)
    assert infer(first.grpc) == "one"
    killed = processes(state, "serving")[0]
    killed.kill()
    killed.wait(60)  # until then its socket may take connections that nobody answers
    assert {infer(first.grpc) for _ in range(10)} == {"one"}
    rollout = {"key": "x-user", "gates": {**GATES, "requests": 10**6}}
    second = deploy(state, "two", settings=settings, rollout=rollout, traffic={"challenger": 40})
    assert second.grpc == first.grpc
    words = {f"u{number}": infer(first.grpc, f"u{number}") for number in range(30)}
    assert 3 <= Counter(words.values())["two"] <= 21
    assert {user: word_for(first.url, user) for user in words} == words
    assert TARGET.promote("delays", state, "eve")
    eventually(lambda: infer(first.grpc) == "two")


def infer(address: str, user: str = "") -> str:
    """Ask over gRPC, once more if the worker that had the call ended: what a standard client does."""
    wanted = triton.InferInput("x", [1], "INT64")
    import numpy as np

    wanted.set_data_from_numpy(np.array([1]))
    for attempt in range(4):
        client = triton.InferenceServerClient(address)
        try:
            answer = client.infer("delays", [wanted], headers={"x-user": user} if user else None)
            return str(answer.as_numpy("word")[0, 0].decode())
        except triton.InferenceServerException as error:
            if attempt == 3 or "UNAVAILABLE" not in str(error.status()):
                raise
        finally:
            client.close()
    raise AssertionError


def test_a_smoke_request_that_is_answered_wrongly_keeps_the_revision_from_traffic(state: Path) -> None:
    url = deploy(state, "one", settings={"smoke": [{"body": {}, "reply": {"word": "one"}}]}).url
    from modelyard.deploy import RevisionNotReady

    with pytest.raises(RevisionNotReady) as caught:
        deploy(state, "two", settings={"smoke": [{"body": {}, "reply": {"word": "one"}}]})
    assert caught.value.facts["reason"] == (
        'smoke request 0 was answered with {"word":"two","p":0.8}, which is not {"word":"one"}'
    )
    assert word_for(url) == "one"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"workers": {"min": 2, "max": 1}}, "deploy.workers.min: must be from 0 to max, which is 1, got 2"),
        ({"workers": {"mix": 1}}, "deploy.workers.mix: workers has no 'mix'. Did you mean min?"),
        ({"workers": {"min": 0}, "grpc_port": 0}, "deploy.workers"),
        ({"limits": {"bodi": 1}}, "deploy.limits.bodi: limits has no 'bodi'. Did you mean body?"),
        ({"limits": {"queue": -1}}, "deploy.limits: a limit is at least 1"),
        ({"grpc_port": 70000}, "deploy.grpc_port: must be from 0 to 65535, got 70000"),
        ({"batch": 0}, "deploy.batch: must be at least 1, got 0"),
        ({"rollout": {"traffic": {"champion": 90, "challenger": 20}}}, "must be 100 percent together, got 110"),
        ({"rollout": {"gates": {"requests": 0}}}, "deploy.rollout.gates.requests: must be at least 1, got 0"),
        ({"rollout": {"steps": [{"share": 0}]}}, r"deploy.rollout.steps\[0\].share: must be above 0 and at most 100"),
    ],
)
def test_settings_that_break_a_rule_are_named(tmp_path: Path, settings: Any, said: str) -> None:
    with pytest.raises(SettingInvalid, match=said):
        TARGET.check({"target": "local", **settings}, tmp_path)
