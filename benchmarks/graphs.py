"""What an event costs in a serving graph: ours, MLRun's, storey's, and plain Python as the floor."""

from contest import Contestant, Target, run

OURS = "modelyard"
MLRUN = "MLRun 1.12.1"
STOREY = "storey 1.14.1"
SEQUENTIAL = "MLRun 1.12.1, sequential"
PLAIN = "plain Python"

CONTESTANTS = (
    Contestant(PLAIN, "plain_graphs.py"),
    Contestant(OURS, "modelyard_graphs.py"),
    Contestant(MLRUN, "mlrun_graphs.py", "peer-mlrun", ("mlrun==1.12.1",)),
    Contestant(SEQUENTIAL, "mlrun_sequential.py", "peer-mlrun", ("mlrun==1.12.1",)),
    Contestant(STOREY, "storey_graphs.py", "peer-storey", ("storey==1.14.1", "packaging")),
)
COUNTS = {
    "chain": {"*": 500_000, MLRUN: 20_000},
    "chain with event and handler": {"*": 200_000, MLRUN: 10_000},
    "async chain": {"*": 500_000, MLRUN: 3_000, STOREY: 6_000},
    "async chain of coroutines": {"*": 200_000},
    "branch": {"*": 200_000, MLRUN: 2_000, STOREY: 4_000},
    "async branch": {"*": 200_000},
    "batch of 10,000 rows": {"*": 4},
    "batch of 10,000 rows by hand": {"*": 4},
    "router by path": {"*": 100_000, MLRUN: 10_000},
    "vote of 3": {"*": 100_000, MLRUN: 2_000, SEQUENTIAL: 3_000},
    "vote of 3, two against one": {"*": 100_000, MLRUN: 2_000, SEQUENTIAL: 3_000},
    "vote of 3 models, 1 row": {"*": 150},
    "vote of 3 models, 10,000 rows": {"*": 4},
    "vote of 3 steps with models, 1 row": {"*": 150},
    "vote of 3 steps with models, 10,000 rows": {"*": 4},
    "model, 10,000 rows": {"*": 4},
}
TARGETS = (
    Target("chain", OURS, MLRUN, 20, goal=25),
    Target("async chain", OURS, MLRUN, 200, goal=400),
    Target("async chain", OURS, STOREY, 40, goal=60),
    Target("branch", OURS, STOREY, 20, goal=50),
    Target("batch of 10,000 rows", OURS, PLAIN, 1.1, at_most=True, goal=1.03),
    Target("router by path", OURS, MLRUN, 5, goal=10),
    Target("vote of 3", OURS, MLRUN, 25, goal=80),
    Target("vote of 3", OURS, SEQUENTIAL, 15, goal=27),
    Target("vote of 3, two against one", OURS, MLRUN, 25),
    Target("vote of 3, two against one", OURS, SEQUENTIAL, 15),
    Target("vote of 3 models, 1 row", OURS, PLAIN, 1.05, at_most=True, goal=1.02),
    Target("vote of 3 models, 10,000 rows", OURS, PLAIN, 1.1, at_most=True, goal=1.03),
    Target("vote of 3 steps with models, 1 row", OURS, PLAIN, 1.05, at_most=True, goal=1.02),
    Target("vote of 3 steps with models, 10,000 rows", OURS, PLAIN, 1.1, at_most=True, goal=1.03),
    Target("model, 10,000 rows", OURS, PLAIN, 1.1, at_most=True, goal=1.03),
)

if __name__ == "__main__":
    run(__doc__, CONTESTANTS, COUNTS, TARGETS)
