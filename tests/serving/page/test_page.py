"""The pages for people: what a browser gets, and what a real one shows."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from browser import Tab, open_browser

from modelyard.graphs import EventInvalid, Graph, LoadedModel, ModelCard, Parameter, Resources
from modelyard.serving.local import LocalServer
from modelyard.serving.metrics import ServingMetrics

HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
HOSTILE = "<img src=x onerror=alert(1)>"


class Rule:
    """Late is who leaves from 18 o'clock on."""

    classes_ = np.array([False, True])

    def predict(self, matrix: Any) -> Any:
        return matrix[:, 0] >= 18

    def predict_proba(self, matrix: Any) -> Any:
        late = matrix[:, 0] / 24
        return np.stack([1 - late, late], axis=1)


class Rules:
    def load(self, reference: str) -> LoadedModel:
        card = ModelCard(("hour", "distance"), ("int64", "double"), "matrix", "classification", (), "late", "", "")
        return LoadedModel(Rule(), card, digest="9f86d081884c7d65", classes=(False, True), name=reference)


def parse(flight: dict[str, Any]) -> dict[str, Any]:
    if flight["hour"] > 23:
        raise EventInvalid("is at most 23", field="hour")
    return {"hour": flight["hour"], "distance": flight.get("distance", 1000.0)}


def answer(result: dict[str, Any]) -> dict[str, Any]:
    return {"late": bool(result["label"]), "share": round(result["probability"], 2)}


def flights() -> Graph:
    graph = Graph("flights")
    graph.to(parse).model("late", "models:/late/3").to(answer).respond()
    return graph


@pytest.fixture
def url() -> Iterator[str]:
    metrics = ServingMetrics()
    plan = flights().open(metrics.watching(Resources(models=Rules())))
    with LocalServer(plan, metrics=metrics) as server:
        yield server.url


@pytest.fixture(scope="module")
def declared() -> Iterator[str]:
    graph = Graph("declared").chat("polite")
    graph.to(lambda body: {"got": body}, name="told")
    graph.api("/flights/{id}", method="GET", parameters={"id": int}, query={"hour": Parameter("integer", default=7)})
    graph.api("/talk", method="WEBSOCKET")
    graph.api("/flights", body={"hour": "$.flight.hour"}, description=f"Ask {HOSTILE} about a flight")
    with LocalServer(graph.open()) as server:
        yield server.url


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with open_browser(tmp_path_factory.mktemp("chromium")) as tab:
        yield tab


def test_a_browser_gets_a_page_and_a_program_the_description(url: str) -> None:
    page = httpx.get(url, headers=HTML)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<title>flights</title>" in page.text
    assert "{{" not in page.text
    assert httpx.get(url).json()["name"] == "flights"
    assert httpx.head(url, headers=HTML).headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_asks_nobody_else_and_runs_nothing_else(url: str, path: str) -> None:
    page = httpx.get(url + path, headers=HTML)
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    addresses = set(re.findall(r"https?://[^\"' )]+", page.text))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\s(style|on\w+)=", page.text)
    assert len(page.content) < 40_000


def test_only_reading_is_answered(url: str) -> None:
    for path in ("/docs", "/openapi.json"):
        answer = httpx.post(url + path, json={})
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_names_are_shown_as_text() -> None:
    graph = Graph("hostile")
    graph.to(lambda body: body, name=HOSTILE)
    with LocalServer(graph.open()) as server:
        assert HOSTILE not in httpx.get(server.url, headers=HTML).text


@pytest.mark.slow
def test_the_page_shows_what_happens(browser: Tab, url: str) -> None:
    browser.complaints.clear()
    browser.go(f"{url}/")
    browser.until("document.getElementById('state').textContent === 'serving'")
    assert browser.ask("document.querySelectorAll('.scroll svg g').length") >= 5
    assert browser.text("#models tr td:nth-child(2)") == "models:/late/3"
    assert browser.text("#models tr td:nth-child(3)") == "9f86d081884c"
    for hour in (7, 19, 40):
        httpx.post(url, json={"hour": hour})
    browser.until("document.getElementById('requests').textContent === '3'")
    assert browser.text("#errors") == "1"
    rows = browser.ask(
        "[...document.querySelectorAll('#steps tr')].map((row) => [...row.cells].map((c) => c.textContent))"
    )
    counted = {row[0]: row[1:3] for row in rows}
    assert counted == {"parse": ["3", "1"], "late": ["2", "0"], "answer": ["2", "0"]}
    assert browser.text("#p99").endswith(" ms")
    browser.until("document.querySelectorAll('.scroll g.ill').length === 1")
    assert browser.text(".scroll g.ill text") == "parse"
    assert browser.ask("document.querySelectorAll('#steps .bar rect').length") == 3
    browser.until("document.getElementById('area').getAttribute('d').startsWith('M')")
    assert browser.ask("document.getElementById('workers-part').hidden") is True
    assert browser.complaints == []


@pytest.mark.slow
def test_the_page_can_be_read_in_the_dark_and_on_a_small_screen(browser: Tab, url: str) -> None:
    browser.go(f"{url}/")
    browser.until("document.getElementById('state').textContent === 'serving'")
    ground = "getComputedStyle(document.body).backgroundColor"
    assert browser.ask(ground) == "rgb(243, 245, 248)"
    browser.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    assert browser.ask(ground) == "rgb(16, 22, 29)"
    browser.command("Emulation.setEmulatedMedia", features=[])
    size = {"height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.command("Emulation.setDeviceMetricsOverride", width=420, **size)
    assert browser.ask("document.documentElement.scrollWidth") == 420
    browser.command("Emulation.clearDeviceMetricsOverride")


@pytest.mark.slow
def test_the_page_of_all_workers_tells_them_apart(browser: Tab, url: str) -> None:
    """The supervisor's port gives the same page other figures: what it shows of them is looked at here."""
    browser.go(f"{url}/")
    browser.until("document.getElementById('state').textContent === 'serving'")
    browser.ask(
        "fetch('/v2/statistics').then((reply) => reply.json()).then((told) => {"
        "const process = {...told.graphs[0].processes[0], pid: 7};"
        "told.graphs = [{...told.graphs[0], revision: 'old', processes: []}, {...told.graphs[0], revision: 'new',"
        "processes: [...told.graphs[0].processes, process]}];"
        "told.workers = [{pid: 7, state: 'accepting', revision: 'newer-than-new'},"
        "{pid: 8, state: 'starting', revision: 'new'}];"
        "show(told); })"
    )
    rows = browser.ask(
        "[...document.querySelectorAll('#workers tr')].map((row) => [...row.cells].map((c) => c.textContent))"
    )
    assert [row[:3] for row in rows] == [["7", "accepting", "newer-th"], ["8", "starting", "new"]]
    assert rows[0][4].endswith(" MB")
    assert browser.text("#revision") == "revision new"


@pytest.mark.slow
def test_a_request_can_be_tried(browser: Tab, url: str) -> None:
    browser.requested.clear()
    browser.go(f"{url}/")
    browser.until("document.getElementById('state').textContent === 'serving'")
    assert browser.ask("[document.getElementById('method').value, document.getElementById('path').value]") == [
        "POST",
        "/",
    ]
    browser.fill("#body", '{"hour": 21}')
    browser.click("#try button")
    browser.until("document.getElementById('answer-status').textContent.startsWith('200 in ')")
    assert browser.text("#answer") == '{\n  "late": true,\n  "share": 0.88\n}'
    browser.fill("#body", "{")
    browser.click("#try button")
    browser.until("document.getElementById('answer-status').textContent.startsWith('400 in ')")
    assert "RequestMalformed" in browser.text("#answer")
    assert {request.split("/")[2] for request in browser.requested if request.startswith("http")} <= {url.split("/")[2]}


@pytest.mark.slow
def test_the_documents_can_be_tried(browser: Tab, declared: str) -> None:
    browser.complaints.clear()
    browser.go(f"{declared}/docs")
    browser.until("document.querySelectorAll('details').length > 5")
    names = browser.ask("[...document.querySelectorAll('details')].map((each) => each.dataset.operation)")
    talk = browser.ask("[...document.querySelectorAll('section > p')].map((each) => each.textContent).join()")
    assert "/talk A WebSocket at this path is a conversation" in talk
    assert names[:3] == ["GET /flights/{id}", "POST /flights", "POST /v1/chat/completions"]
    assert HOSTILE in browser.text("details:nth-of-type(2) summary")
    box = "details[data-operation='GET /flights/{id}']"
    browser.fill(f"{box} input[name=id]", "12")
    browser.click(f"{box} button")
    browser.until(f"document.querySelector(\"{box} p\").textContent.startsWith('200 in ')")
    assert browser.text(f"{box} pre") == '{\n  "got": {\n    "id": 12,\n    "hour": 7\n  }\n}'
    box = "details[data-operation='POST /flights']"
    browser.click(f"{box} button")
    browser.until(f"document.querySelector(\"{box} p\").textContent.startsWith('200 in ')")
    assert browser.complaints == []
