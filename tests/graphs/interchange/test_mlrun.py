"""Graphs that MLRun stores do here what they do there."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from local_service import local_service

from modelyard.graphs import Event, Graph, GraphInvalid, StepFailed
from modelyard.graphs.interchange import ImportRefused, graph_from_mlrun
from modelyard.graphs.interchange.mlrun_code import MlrunStep
from modelyard.graphs.testing import BlockCase, check_case, differences

REPOSITORY = Path(__file__).parents[3]
PEER = REPOSITORY / ".venvs/peer-mlrun/bin/python"
PROBES = REPOSITORY / "tests/probes"

HERE = {"module": "probe_mlrun"}

# What the peer is asked: the stored graph, parameters, and requests of path and body.
GRAPHS: dict[str, tuple[str, dict[str, Any], list[tuple[str, Any]]]] = {
    "chain": (
        """
        engine: async
        steps:
          scale: {kind: task, class_name: Scale, class_args: {factor: 3}, input_path: req.x, result_path: out.scaled}
          mark: {kind: task, class_name: Marked, handler: mark, full_event: true, after: [scale]}
          whole: {kind: task, class_name: Whole, class_args: {key: seen}, after: [mark]}
          offset: {kind: task, handler: with_context, after: [whole], responder: true}
        """,
        {"offset": 5},
        [("/in", {"req": {"x": 2}, "more": 1}), ("/", {"req": {"x": -1}})],
    ),
    "sync": (
        "{engine: sync, steps: {low: {kind: task, handler: low}, high: {kind: task, handler: high, after: [low]}}}",
        {},
        [("/", {"x": 1})],
    ),
    "step handler": (
        """
        engine: async
        steps:
          divide: {kind: task, handler: fails, on_error: catch}
          catch: {kind: error_step, handler: caught, base_step: divide}
          low: {kind: task, handler: low, after: [divide], responder: true}
        """,
        {},
        [("/", {"x": 4}), ("/", {"x": 0})],
    ),
    "graph handler": (
        """
        engine: async
        on_error: catch
        steps:
          divide: {kind: task, handler: fails}
          catch: {kind: error_step, handler: caught_event, full_event: true}
          low: {kind: task, handler: low, after: [divide], responder: true}
        """,
        {},
        [("/", {"x": 4}), ("/", {"x": 0})],
    ),
    "choice": (
        """
        engine: async
        steps:
          pick: {kind: task, class_name: mlrun.serving.steps.ChoiceByField, class_args: {field_name: road}}
          low: {kind: task, handler: low, after: [pick]}
          high: {kind: task, handler: high, after: [pick]}
          end: {kind: task, handler: same, after: [low, high], responder: true}
        """,
        {},
        [("/", {"road": "low"}), ("/", {"road": "high"})],
    ),
    "merge": (
        """
        engine: async
        steps:
          first: {kind: task, handler: same}
          low: {kind: task, handler: low, after: [first]}
          high: {kind: task, handler: high, after: [first]}
          join: {kind: task, class_name: mlrun.serving.merger.Merge, after: [low, high]}
          end: {kind: task, handler: same, after: [join], responder: true}
        """,
        {},
        [("/", {"x": 1})],
    ),
    "cycle": (
        """
        engine: async
        allow_cyclic: true
        max_iterations: 5
        steps:
          count: {kind: task, handler: counted, after: [again], cycle_from: [again]}
          pick: {class_name: mlrun.serving.steps.ChoiceByField, class_args: {field_name: next}, after: [count]}
          again: {kind: task, handler: same, after: [pick]}
          done: {kind: task, handler: same, after: [pick], responder: true}
        """,
        {},
        [("/", {"x": 1})],
    ),
    "queue": (
        """
        engine: async
        steps:
          low: {kind: task, handler: low}
          q: {kind: queue, path: "", after: [low]}
          high: {kind: task, handler: high, after: [q], responder: true}
        """,
        {},
        [("/", {"x": 1})],
    ),
    "router": (
        """
        kind: router
        routes:
          half: {kind: task, class_name: Halver, class_args: {model_path: "", outputs: null}}
          double: {kind: task, class_name: Doubler, class_args: {model_path: ""}}
        """,
        {},
        [
            ("/v2/models/half/infer", {"inputs": [1, 5], "id": "a"}),
            ("/v2/models/double/predict", {"inputs": [1, 5], "id": "b"}),
            ("/v2/models/double", {"inputs": [1], "id": "b"}),
            ("/", {"model": "double", "inputs": [1], "id": "c"}),
        ],
    ),
    "votes": (
        """
        kind: router
        class_name: mlrun.serving.routers.VotingEnsemble
        class_args: {vote_type: regression, weights: {half: 0.75, double: 0.25}}
        name: VotingEnsemble
        routes:
          half: {kind: task, class_name: Halver, class_args: {model_path: ""}}
          double: {kind: task, class_name: Doubler, class_args: {model_path: ""}}
        """,
        {},
        [("/v2/models/infer", {"inputs": [2.0, 4.0], "id": "a"})],
    ),
    "storey": (
        """
        engine: async
        steps:
          keep: {kind: task, class_name: storey.Filter, class_args: {_fn: large}}
          low: {kind: task, class_name: storey.Map, class_args: {_fn: low}, after: [keep], responder: true}
        """,
        {},
        [("/", {"x": 2})],
    ),
}

ASK = """
import json, sys, warnings
warnings.filterwarnings("ignore")
import mlrun, probe_mlrun, yaml
from mlrun.serving.states import RootFlowStep, RouterStep
asked = json.load(sys.stdin)
replies = {}
for name, (text, parameters, requests) in asked.items():
    function = mlrun.new_function("peer", kind="serving", image="x", project="p")
    graph = yaml.safe_load(text)
    function.spec.parameters = parameters
    function.spec.graph = (RouterStep if graph.get("kind") == "router" else RootFlowStep).from_dict(graph)
    server = function.to_mock_server(namespace=vars(probe_mlrun), track_models=False)
    replies[name] = [server.test(path, body=body) for path, body in requests]
    if graph.get("kind") != "router":
        server.wait_for_completion()
print("REPLIES" + json.dumps(replies, default=str))
"""


@pytest.fixture(scope="module")
def theirs() -> dict[str, list[Any]]:
    if not PEER.exists():
        pytest.skip("MLRun is not installed: python benchmarks/graphs.py --prepare")
    asked = subprocess.run(
        [PEER, "-c", ASK],
        input=json.dumps(GRAPHS),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(PROBES)},
        timeout=200,
    )
    assert "REPLIES" in asked.stdout, asked.stderr[-3000:]
    found: dict[str, list[Any]] = json.loads(asked.stdout.rpartition("REPLIES")[2])
    return found


def ours(name: str) -> list[Any]:
    text, parameters, requests = GRAPHS[name]
    source = {"graph": __import__("yaml").safe_load(text), "parameters": parameters}
    graph = graph_from_mlrun(source, **HERE)
    again = Graph.from_spec(graph.to_spec())
    return [again.test(body, path=path) for path, body in requests]


@pytest.mark.slow
@pytest.mark.parametrize("name", GRAPHS)
def test_replies_are_those_of_mlrun(name: str, theirs: dict[str, list[Any]]) -> None:
    # the time is another one, and the ensemble there answers with an id of its own making
    ignore = ["$[*].timestamp", *(["$[*].id"] if name == "votes" else [])]
    assert differences(theirs[name], ours(name), ignore=ignore) == []


@pytest.mark.parametrize(
    ("name", "replies"),
    [
        (
            "chain",
            [
                {
                    "req": {"x": 2},
                    "more": 1,
                    "out": {"scaled": {"by": "scale", "value": 11}},
                    "path": "/in",
                    "seen": True,
                    "offset": 5,
                },
                {
                    "req": {"x": -1},
                    "out": {"scaled": {"by": "scale", "value": 2}},
                    "path": "/",
                    "seen": True,
                    "offset": 5,
                },
            ],
        ),
        ("sync", [{"x": 1, "road": "high"}]),
        ("step handler", [{"x": 4, "quotient": 2.5, "road": "low"}, {"caught": 0}]),
        (
            "graph handler",
            [{"x": 4, "quotient": 2.5, "road": "low"}, {"caught": 0, "error": "division by zero"}],
        ),
        ("choice", [{"road": "low"}, {"road": "high"}]),
        ("merge", [[{"x": 1, "road": "low"}, {"x": 1, "road": "high"}]]),
        ("cycle", [{"x": 1, "rounds": 3, "next": "done"}]),
        ("queue", [{"x": 1, "road": "high"}]),
        ("storey", [{"x": 2, "road": "low"}]),
    ],
)
def test_what_an_imported_graph_answers(name: str, replies: list[Any]) -> None:
    assert ours(name) == replies


def test_routers_and_votes_answer_in_mlruns_form() -> None:
    half, double, named, by_body = ours("router")
    assert (half["id"], half["model_name"], half["outputs"]) == ("a", "half", [0.5, 2.5])
    assert (double["model_name"], double["outputs"]) == ("double", [2.0, 10.0])
    assert (named["outputs"], by_body["outputs"]) == ([2.0], [2.0])
    [vote] = ours("votes")
    assert (vote["model_name"], vote["outputs"]) == ("VotingEnsemble", [1.75, 3.5])


def votes(**class_args: Any) -> Graph:
    models = {"half": "Halver", "double": "Doubler"}
    routes = {name: {"kind": "task", "class_name": each} for name, each in models.items()}
    graph = {"kind": "router", "class_name": "mlrun.serving.VotingEnsemble", "class_args": class_args, "routes": routes}
    return graph_from_mlrun(graph, **HERE)


def test_defects_of_the_voting_ensemble_are_not_taken_over() -> None:
    body = {"inputs": [2.0], "id": "a"}
    # weights that add up to less or more than 1 count in proportion
    assert votes(vote_type="regression", weights={"half": 0.1, "double": 0.1}).test(body)["outputs"] == [2.5]
    assert votes(vote_type="regression", weights={"half": 1, "double": 3}).test(body)["outputs"] == [3.25]
    # a model that fails is an error, and not a missing summand
    with pytest.raises(StepFailed) as caught:
        votes(vote_type="regression").test({"inputs": ["x"], "id": "a"})
    assert "half" in str(caught.value)
    # what the first request looked like decides nothing
    with pytest.raises(ImportRefused, match="MLRun would decide by the first request"):
        votes()


def test_errors_are_told_as_such() -> None:
    graph = graph_from_mlrun({"kind": "router", "routes": {"half": {"class_name": "Halver"}}}, **HERE)
    for path, body, said in [
        ("/v2/models/half/infer", {"x": 1}, 'inputs: must be a list. Send {"inputs": [[…], …]}.'),
        ("/v2/models/half/nonsense", {"inputs": [1]}, "path: the model half has no operation 'nonsense'"),
        ("/v2/models/half/explain", {"inputs": [1]}, "path: the model half has no operation 'explain'"),
    ]:
        with pytest.raises(StepFailed) as caught:
            graph.test(body, path=path)
        assert caught.value.outcome.http == 422
        assert said in str(caught.value)


def test_a_remote_step_becomes_an_http_call() -> None:
    with local_service() as service:
        arguments = {"url": service.url, "subpath": "flaky/2", "method": "post", "retries": 3, "backoff_factor": 0.001}
        step = {"class_name": "$remote", "class_args": arguments, "result_path": "answer", "responder": True}
        graph = graph_from_mlrun({"steps": {"ask": step}})
        with graph.open() as plan:
            from modelyard.graphs.background import run_in_background

            assert run_in_background(plan.settle_async(Event({"x": 1}))) == {"x": 1, "answer": {"tries": 3}}


def test_everything_that_has_no_equal_is_named_at_once() -> None:
    text = """
    kind: serving
    metadata: {name: old}
    spec:
      graph:
        engine: async
        surprise: 1
        steps:
          pre: {kind: task, class_name: Mark}
          expression: {kind: task, handler: "(event + 1)", after: [pre]}
          external: {kind: queue, path: "kafka://b:9092/t", after: [expression]}
          runner: {kind: model_runner, class_name: mlrun.serving.ModelRunner, after: [external]}
          impute: {kind: task, class_name: mlrun.feature_store.steps.Imputer, after: [nowhere]}
          filter: {class_name: storey.Filter, class_args: {_fn: "(event['x'] > 1)"}, after: [pre], color: red}
          enrich: {kind: router, class_name: "mlrun.serving.routers.EnrichmentModelRouter", after: [pre], routes: {}}
          votes:
            kind: router
            class_name: mlrun.serving.VotingEnsemble
            after: [pre]
            routes:
              m1: {class_name: mlrun.frameworks.sklearn.SKLearnModelServer, class_args: {model_path: "store://m1"}}
    """
    with pytest.raises(ImportRefused) as caught:
        graph_from_mlrun(text, **HERE)
    assert str(caught.value).splitlines() == [
        "the graph of MLRun has 14 things that cannot be taken over:",
        "  - spec.graph.surprise: the field is not known.",
        "  - spec.graph.steps.impute.after: there is no step 'nowhere'.",
        "  - spec.graph.steps.filter.color: the field is not known.",
        "  - spec.graph.steps.pre.class_name: there is no step 'probe_mlrun:Mark': probe_mlrun has no 'Mark'. "
        "Did you mean Marked?",
        "  - spec.graph.steps.expression.handler: the expression '(event + 1)' would have to be evaluated. "
        "Write it as a function.",
        "  - spec.graph.steps.external.path: events would leave for 'kafka://b:9092/t'. Leave the address out to go on "
        "in the same process, or write to the broker from a step of your own.",
        "  - spec.graph.steps.runner.kind: a step of the kind model_runner has no equal. "
        "Use graph.model(name, ModelRunner, models={…}), from modelyard.graphs.models.",
        "  - spec.graph.steps.impute.class_name: mlrun.feature_store.steps.Imputer has no equal. "
        "Use Fields, from modelyard.graphs.steps.",
        "  - spec.graph.steps.filter.class_args._fn: the expression \"(event['x'] > 1)\" would have to be evaluated. "
        "Write it as a function.",
        "  - spec.graph.steps.enrich.routes: there is no route.",
        "  - spec.graph.steps.enrich.class_name: the router mlrun.serving.routers.EnrichmentModelRouter has no equal. "
        "See modelyard.graphs.routers.",
        "  - spec.graph.steps.votes.routes.m1.class_name: the model server mlrun.frameworks.sklearn.SKLearnModelServer "
        "has no equal. Use a model of the registry (models:/name@alias), or a class of your own with load and predict.",
        "  - spec.graph.steps.votes.class_args.vote_type: MLRun would decide by the first request. "
        "Say regression or classification.",
        "  - spec.graph.steps: no step responds, so MLRun answers with the event's id alone. "
        "Mark the step whose result is the reply: responder: true.",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "(source): it cannot be read"),
        ("[1]", "(source): it is a mapping, not list"),
        ("none.yaml", "(source): it cannot be read: [Errno 2]"),
        ("steps: [low]", "graph.steps: it is a mapping, not list"),
        ("steps: {a: low, b: [1]}", "  - graph.steps.a: it is a mapping, not str.\n  - graph.steps.b: it is a mapping"),
        ("steps: {a: {handler: low, after: 3}}", "graph.steps.a.after: it is a name or a list of them, not 3"),
        ("steps: {a: {class_name: x:Y, class_args: some}}", "graph.steps.a.class_args: it is a mapping, not"),
        (
            "steps: {a: {class_name: $remote, class_args: {retries: some}}}",
            "graph.steps.a.class_args.retries: it is a whole number, not 'some'",
        ),
        ("{kind: router, routes: {m: low}}", "graph.routes.m: it is a mapping, not str"),
        ("{metadata: none, spec: {graph: low}}", "spec.graph: it is a mapping, not str"),
        ("{graph: {steps: {a: {handler: low, responder: true}}}, parameters: none}", "parameters: it is a mapping"),
        ("steps: {}", "graph.steps: there is no step"),
        ("steps: {a: {handler: low}}", "graph.steps: no step responds, so MLRun answers with the event's id alone"),
        (
            "steps: {a: {handler: low, responder: true}, b: {handler: low, responder: true, after: [a]}}",
            "graph.steps: there are several responders: a, b",
        ),
        (
            "steps: {a: {handler: low, after: [b], responder: true}, b: {handler: low, after: [a]}}",
            "graph.steps: there is a loop: a, b. Say which of the edges are ways back: cycle_from.",
        ),
        (
            "steps: {a: {handler: low, on_error: none, responder: true}}",
            "graph.steps.a.on_error: there is no error step 'none'",
        ),
        ("steps: {a: {handler: low}, b: {handler: nothing.at.all, responder: true, after: [a]}}", "no module named"),
        (
            "steps: {a: {class_name: Merge, class_args: {key_path: 'event[\"a\"] + 1'}, responder: true}}",
            "graph.steps.a.class_args.key_path: the expression",
        ),
        (
            "steps: {a: {class_name: $remote, class_args: {url: other, url_expression: event}, responder: true}}",
            "graph.steps.a.class_args.url: 'other' is no http address",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, said: str) -> None:
    with pytest.raises(ImportRefused) as caught:
        graph_from_mlrun(text, **HERE)
    assert said in str(caught.value)


def test_a_class_that_chooses_outlets_itself_is_refused_when_the_graph_opens() -> None:
    """Its routing would be lost without a word."""
    graph = Graph("routing")
    graph.to(MlrunStep, use="probe_mlrun:Chooser", name="pick")
    with pytest.raises(GraphInvalid) as raised:
        graph.test({"x": 1})
    assert "the class probe_mlrun:Chooser has select_outlets: follow the step with graph.choice" in str(raised.value)


def test_a_name_without_a_module_needs_one() -> None:
    with pytest.raises(ImportRefused, match=r"'low' has no module\. Say in which module it is: module=…"):
        graph_from_mlrun("steps: {a: {handler: low, responder: true}}")


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "graph.yaml").write_text("steps: {a: {handler: low, responder: true}}")
    for source in (tmp_path / "graph.yaml", str(tmp_path / "graph.yaml")):
        assert graph_from_mlrun(source, name="old", **HERE).test({}) == {"road": "low"}


def test_imported_steps_keep_the_contract_of_blocks() -> None:
    graph = graph_from_mlrun("steps: {a: {handler: low, responder: true}}", **HERE)
    use, arguments = graph.to_spec().steps[0].use, graph.to_spec().steps[0].arguments
    check_case(BlockCase(use=use, arguments=arguments, bodies=[{"x": 1}], replies=[{"x": 1, "road": "low"}]))


@pytest.mark.parametrize(("source", "told"), [(None, "NoneType"), (3, "int"), (b"graph: {}", "bytes")])
def test_what_is_no_source_is_refused(source: Any, told: str) -> None:
    with pytest.raises(ImportRefused, match=rf"\(source\): it is a text, path or mapping, not {told}"):
        graph_from_mlrun(source)
