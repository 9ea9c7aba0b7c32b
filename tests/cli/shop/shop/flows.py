"""The shop's workflows."""

from modelyard.workflows import steps, workflow


@workflow
def main(names: list[str], times: int = 2) -> None:
    """Greet twice.

    Parameters
    ----------
    names
        Whom to greet.
    times
        How often.
    """
    first = steps(name="first").call(function="greet", parameters={"name": names[0], "times": times})
    steps(name="second").call(function="greet", parameters={"name": first.value["hello"][0]})
