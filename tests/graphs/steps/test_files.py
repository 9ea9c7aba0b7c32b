import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import pytest

from modelyard.data import open_dataset
from modelyard.graphs import Event, Graph, PlanClosed, StepFailed
from modelyard.graphs.steps import Reader, StepClosed, Writer, writer


def writing(folder: Path | str, **arguments: Any) -> Graph:
    graph = Graph("g")
    graph.to(Writer, name="keep", folder=str(folder), **arguments).respond()
    return graph


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_rows_are_written_by_number_and_the_rest_when_the_graph_closes(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with writing(folder, rows=2, seconds=0).open() as plan:
        for number in range(5):
            assert plan.run(Event({"n": number})) == {"n": number}
        assert len(names(folder)) == 2
    assert len(names(folder)) == 3
    assert [path.suffix for path in sorted(folder.iterdir())] == [".jsonl"] * 3
    lines = [json.loads(line) for path in sorted(folder.iterdir()) for line in path.read_text().splitlines()]
    assert lines == [{"n": number} for number in range(5)]
    with pytest.raises(PlanClosed):
        plan.run(Event({"n": 5}))
    block = Writer(folder=str(folder))
    block.__exit__()
    with pytest.raises(StepClosed, match=r"Writer is closed\. Open the graph again\."):
        block.do_event(Event({"n": 5}))


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_what_was_written_can_be_read(kind: str, tmp_path: Path) -> None:
    rows = [{"a": 1, "b": 'x, "y"\n', "c": True}, {"a": 2.5, "b": None, "c": None}, {"a": None, "b": "z", "c": False}]
    with writing(tmp_path, format=kind, rows=2).open() as plan:
        plan.run(Event(rows))
    graph = Graph("read")
    graph.to(Reader, uri=str(tmp_path), size=2).respond()
    with graph.open() as plan:
        assert plan.run(Event()) == [rows[:2], rows[2:]]
    one = Graph("one")
    one.to(Reader, uri=str(tmp_path), columns=["c"]).respond()
    with one.open() as plan:
        assert plan.run(Event()) == [{"c": True}, {"c": None}, {"c": False}]


def test_moments_and_the_event(tmp_path: Path) -> None:
    graph = writing(tmp_path, format="parquet", event={"event": "id", "sent": "timestamp", "path": "path"})
    with graph.open() as plan:
        plan.run(Event({"at": datetime(2013, 6, 1, tzinfo=UTC)}, id="a7", timestamp=1.5, path="/in"))
    assert open_dataset(str(tmp_path)).table().to_pylist() == [
        {"at": datetime(2013, 6, 1, tzinfo=UTC), "event": "a7", "sent": 1.5, "path": "/in"}
    ]


def test_what_belongs_to_the_event_replaces_no_field_of_the_row(tmp_path: Path) -> None:
    graph = writing(tmp_path, event={"id": "id"})
    with pytest.raises(StepFailed, match="id: is a field of the row already: the event's needs another name, got 7"):
        graph.test({"id": 7})
    graph.close()


def test_a_row_waits_no_longer_than_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timers: list[Any] = []

    class Hand:
        """A timer that is fired by hand."""

        def __init__(self, seconds: float, work: Any) -> None:
            self.seconds, self.work, self.cancelled = seconds, work, False
            timers.append(self)

        def start(self) -> None:
            pass

        def cancel(self) -> None:
            self.cancelled = True

    monkeypatch.setattr("modelyard.graphs.steps.writer.Timer", Hand)
    with writing(tmp_path, seconds=7.5).open() as plan:
        plan.run(Event({"n": 1}))
        plan.run(Event({"n": 2}))
        assert [timer.seconds for timer in timers] == [7.5]
        timers[0].work()
        assert len(names(tmp_path)) == 1
        plan.run(Event({"n": 3}))
        assert len(timers) == 2
    assert timers[1].cancelled
    assert len(names(tmp_path)) == 2


def test_a_bad_row_is_refused_and_the_good_ones_are_written(tmp_path: Path) -> None:
    with writing(tmp_path, format="parquet").open() as plan:
        plan.run(Event({"a": 1, "b": "x"}))
        for bad, said in [
            ({"a": "one", "b": "x"}, "a: must be a number, as in the rows before, got 'one'"),
            ({"a": True, "b": "x"}, "a: must be a number, as in the rows before, got True"),
            ({"a": 1, "c": 2}, r"c: is no column of this output \(a, b\), got 2"),
            ({"a": 2**70}, "a: must fit into 64 bits"),
            ({"a": [1]}, r"a: must be a number, text, truth value or moment \(jsonl takes more\), got \[1\]"),
            (5, "a row must be a mapping of fields, got 5"),
        ]:
            with pytest.raises(StepFailed, match=said) as caught:
                plan.run(Event(bad))
            assert caught.value.outcome.http == 422
        plan.run(Event({"a": 2}))
    assert open_dataset(str(tmp_path)).table().to_pylist() == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]


def test_a_later_step_that_changes_the_body_does_not_change_the_file(tmp_path: Path) -> None:
    for kind in ("jsonl", "parquet"):
        graph = Graph("g")
        graph.to(Writer, folder=str(tmp_path / kind), format=kind).to(
            lambda body: body.update(n=9), name="change"
        ).respond()
        with graph.open() as plan:
            plan.run(Event({"n": 1}))
        read = Graph("r")
        read.to(Reader, uri=str(tmp_path / kind)).respond()
        assert read.test() == [{"n": 1}]


def test_rows_stay_while_the_storage_fails(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with writing(blocked / "out", rows=1).open() as plan:
        for number in range(2):
            with pytest.raises(StepFailed, match="file/out/part-"):
                plan.run(Event({"n": number}))
        blocked.unlink()
        plan.run(Event({"n": 2}))
    lines = [json.loads(line)["n"] for path in (blocked / "out").iterdir() for line in path.read_text().splitlines()]
    assert lines == [0, 1, 2]


def test_threads_lose_no_row(tmp_path: Path) -> None:
    with writing(tmp_path, rows=7).open() as plan:
        threads = [
            threading.Thread(target=lambda start=start: [plan.run(Event({"n": start + each})) for each in range(50)])
            for start in (0, 50, 100, 150)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    lines = [json.loads(line)["n"] for path in tmp_path.iterdir() for line in path.read_text().splitlines()]
    assert sorted(lines) == list(range(200))
    assert not [name for name in names(tmp_path) if name.endswith(".tmp")]


def test_any_address_of_fsspec() -> None:
    with writing("memory://kept/here", format="csv").open() as plan:
        plan.run(Event({"n": 1}))
    [found] = fsspec.filesystem("memory").ls("/kept/here", detail=False)
    assert fsspec.filesystem("memory").cat_file(found) == b'"n"\n1\n'


def test_compressed_lines_and_where_a_line_is_wrong(tmp_path: Path) -> None:
    with fsspec.open(str(tmp_path / "rows.jsonl.gz"), "wb", compression="gzip") as stream:
        stream.write(b'{"a": 1}\n\n{"a": 2}\n')
    graph = Graph("g")
    graph.to(Reader, name="rows", folder=str(tmp_path), field="name").respond()
    assert graph.test({"name": "rows.jsonl.gz"}) == [{"a": 1}, {"a": 2}]
    (tmp_path / "bad.jsonl").write_text('{"a": 1}\n[2]\n')
    with pytest.raises(StepFailed, match=r"bad\.jsonl: line 2 is no JSON object"):
        graph.test({"name": "bad.jsonl"})


def test_rows_are_streamed_as_they_are_read(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(f'{{"a": {number}}}\n' for number in range(3)) + "broken\n")
    graph = Graph("g")
    graph.to(Reader, uri=str(tmp_path / "rows.jsonl")).to(lambda row: row["a"], name="a").respond()
    replies = graph.stream()
    assert [next(replies) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(StepFailed, match="line 4"):
        next(replies)


def test_two_first_rows_at_once_agree_on_the_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(2)

    def slowly(name: str, value: Any) -> str:
        del name, value
        with suppress(threading.BrokenBarrierError):  # nobody else gets here
            together.wait(0.5)
        return "number"

    monkeypatch.setattr(writer, "_kind", slowly)
    refused: list[str] = []

    def write(row: dict[str, int]) -> None:
        try:
            plan.run(Event(row))
        except StepFailed as error:
            refused.append(type(error.cause).__name__)

    with writing(tmp_path / "out", format="csv", seconds=0).open() as plan, ThreadPoolExecutor(2) as pool:
        list(pool.map(write, [{"a": 1}, {"b": 2}]))

    assert refused == ["FieldUnfit"]
    (name,) = names(tmp_path / "out")
    assert (tmp_path / "out" / name).read_text() in ('"a"\n1\n', '"b"\n2\n')
