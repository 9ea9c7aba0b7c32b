"""A model is loaded beside the one that serves, and takes its place or goes."""

from typing import Any, ClassVar

import pytest

from modelyard.graphs import Event, Graph
from modelyard.graphs.failures import PlanClosed
from modelyard.graphs.models import Model, VersionUnknown
from modelyard.graphs.models.reloads import prepared


class Numbered(Model):
    """Says the how-manieth of its kind it is."""

    count = 0
    closed: ClassVar[list[int]] = []

    def load(self) -> None:
        type(self).count += 1
        self.number = type(self).count

    def predict(self, inputs: Any) -> Any:
        return self.number

    def close(self) -> None:
        self.closed.append(self.number)


@pytest.fixture
def graph() -> Graph:
    Numbered.count = 0
    Numbered.closed.clear()
    graph = Graph("numbers")
    graph.model("number", Numbered)
    return graph


def test_nothing_goes_to_it_before_it_serves(graph: Graph) -> None:
    with graph.open() as plan:
        server = plan.models["number"]
        found = prepared(server)
        assert (plan.run(Event({})), found.name, Numbered.closed) == (1, "number", [])
        found.serve()
        assert (plan.run(Event({})), Numbered.closed) == (2, [1])
        prepared(server).drop()
        assert (plan.run(Event({})), Numbered.closed) == (2, [1, 3])
        with pytest.raises(VersionUnknown):
            prepared(server, version="v9")
        late = prepared(server)
    with pytest.raises(PlanClosed):
        late.serve()
    assert sorted(Numbered.closed) == [1, 2, 3, 4]
