"""Functions of a DAG file, run in the project's interpreter."""

from airflow.sdk import DAG, task

with DAG("example_decorator", schedule=None, tags=["modelyard", "example"]):
    # [START howto_decorator]
    @task.modelyard
    def growers(share: float) -> list[str]:
        from sklearn.datasets import load_wine
        from wine import COLUMNS  # the project's own module

        wines = load_wine()
        labels = wines.target[: int(len(wines.target) * share)]
        return [f"grower-{label}, {len(COLUMNS)} columns" for label in sorted(set(labels))]

    @task.modelyard
    def greeting(grower: str, ds: str | None = None) -> str:
        return f"{grower} on {ds}"

    greeting.expand(grower=growers(share=0.5))
    # [END howto_decorator]
