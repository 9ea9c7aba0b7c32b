"""Workflows that use every part of the workflow model."""

from typing import Any

from modelyard.workflows import (
    StepHandle,
    collect,
    each,
    exit_status,
    include,
    otherwise,
    steps,
    when,
    workflow,
)


def call(step: str, function: str, /, **parameters: Any) -> StepHandle:
    """Call a function of the project in a step of that name."""
    return steps(name=step).call(function=f"contract.functions:{function}", parameters=parameters)


@workflow
def single() -> None:
    call("only", "same", a=1, b="two")


@workflow
def chain(start: int = 1) -> None:
    one = call("one", "plus", a=start)
    two = call("two", "plus", a=one.value["sum"])
    call("three", "plus", a=two.value["sum"], b=one.value["sum"])


@workflow
def diamond() -> None:
    top = call("top", "several", count=3)
    left = call("left", "plus", a=top.value["items"][2], b=10)
    right = call("right", "total", numbers=top.value["items"])
    call("bottom", "total", numbers=[left.value["sum"], right.value["sum"], right.value["count"]])


@workflow
def parameters(
    text: str = "ä $HOME $$",
    number: int = 7,
    ratio: float = 0.5,
    flag: bool = False,
    names: list[str] = ["a", "b"],  # noqa: B006
    settings: dict[str, Any] = {"depth": 3, "deep": [1, {"a": None}]},  # noqa: B006
    maybe: int | None = None,
) -> None:
    call(
        "received",
        "same",
        text=text,
        number=number,
        ratio=ratio,
        flag=flag,
        names=names,
        second=names[1],
        settings=settings,
        depth=settings["depth"],
        maybe=maybe,
    )


@workflow
def values() -> None:
    facts = call("facts", "facts")
    call("texts", "same", texts=facts.value["texts"], one=facts.value["texts"][0], quoted=facts.value["quoted"])
    call("numbers", "same", big=facts.value["big"], one_big=facts.value["one_big"], floats=facts.value["floats"])
    call("nothing", "same", none=facts.value["nothing"], inside=[None, {"none": facts.value["nothing"]}])
    call("truth", "same", yes=facts.value["yes"], no=facts.value["no"], both=[facts.value["yes"], facts.value["no"]])
    call("nested", "same", nested=facts.value["nested"], deep=facts.value["nested"]["list"][1][1], empty=[{}, []])
    call("whole", "same", facts=facts.value)


@workflow
def ordered(folder: str) -> None:
    first = call("first", "note", folder=folder, word="first")
    second = steps(name="second", after=first).call(
        function="contract.functions:note", parameters={"folder": folder, "word": "second"}
    )
    steps(name="third", after=[first, second]).call(function="contract.functions:notes", parameters={"folder": folder})


@workflow
def number_condition(limit: float = 0.7) -> None:
    facts = call("facts", "facts")
    with when(facts.value["accuracy"] >= limit):
        call("good", "same", which="good")
    with otherwise():
        call("bad", "same", which="bad")
    with when(facts.value["accuracy"] == 0.8):
        call("exactly", "same", which="exactly")


@workflow
def text_condition(word: str = 'it\'s "quoted"') -> None:
    facts = call("facts", "facts")
    with when(facts.value["quoted"] == word):
        call("equal", "same", which="equal")
    with otherwise():
        call("different", "same", which="different")
    with when(word != ""):
        call("something", "same", which="something")


@workflow
def truth_condition(wanted: bool = True) -> None:
    facts = call("facts", "facts")
    with when(facts.value["yes"]):
        call("yes", "same", which="yes")
    with when(~facts.value["yes"]):
        call("no", "same", which="no")
    with when(wanted):
        call("wanted", "same", which="wanted")
    with otherwise():
        call("unwanted", "same", which="unwanted")
    with when(facts.value["yes"] == 1):
        call("one", "same", which="true is not 1")


@workflow
def joined_conditions(a: int, b: int) -> None:
    with when((a > 0) & (b > 0)):
        call("both", "same", which="both")
    with when((a > 0) | (b > 0)):
        call("one", "same", which="one")
    with when(~((a > 0) | (b > 0))):
        call("none", "same", which="none")
    with when((a > 0) & ((b < 0) | (b == 5)) & ~(a == 7)):
        call("odd", "same", which="odd")


@workflow
def nested_conditions(a: int, b: int) -> None:
    with when(a > 0):
        outer = call("outer", "plus", a=a)
        with when(b > 0):
            call("inner", "plus", a=outer.value["sum"], b=b)
        with otherwise():
            with when(b == 0):
                call("zero", "plus", a=outer.value["sum"], b=0)
            with otherwise():
                call("below", "plus", a=outer.value["sum"], b=-100)
    with otherwise():
        call("nothing", "same", which="nothing")


@workflow
def defaults(a: int) -> None:
    with when(a > 0):
        maybe = call("maybe", "plus", a=a)
    with otherwise():
        instead = call("instead", "plus", a=100)
    call("literal", "same", got=maybe.value["sum"].or_else(-1))
    call("whole", "same", got=maybe.value.or_else({"none": None}))
    call("either", "same", got=maybe.value["sum"].or_else(instead.value["sum"].or_else(0)))
    call("inside", "same", all=[maybe.value["sum"].or_else("none"), a])


@workflow
def after_skipped(a: int, folder: str) -> None:
    with when(a > 0):
        maybe = call("maybe", "note", folder=folder, word="maybe")
    steps(name="always", after=maybe).call(
        function="contract.functions:note", parameters={"folder": folder, "word": "always"}
    )


@workflow
def static_loop() -> None:
    with each([1, "two", None, {"three": [3]}]) as item:
        called = call("called", "same", item=item)
    call("all", "same", items=collect(called.value["item"]))


@workflow
def parameter_loop(numbers: list[int]) -> None:
    with each(numbers) as number:
        more = call("more", "plus", a=number, b=0.5)
    call("all", "total", numbers=collect(more.value["sum"]))
    call("whole", "same", all=collect(more.value))


@workflow
def computed_loop(count: int) -> None:
    found = call("found", "several", count=count)
    with each(found.value["items"], parallel=2) as item:
        more = call("more", "plus", a=item, b=10)
        twice = call("twice", "total", numbers=[more.value["sum"], more.value["sum"], item])
    call("all", "same", all=collect(twice.value["sum"]), items=found.value["items"])


@workflow
def outer_result_in_loop() -> None:
    up = call("up", "same", word="UP", numbers=[7, 8])
    with each(["a", "b"]) as item:
        call("both", "same", pair=[item, up.value["word"]], number=up.value["numbers"][1])


@workflow
def nested_loop(counts: list[int]) -> None:
    with each(counts, name="outer") as count:
        inner = call("inner", "several", count=count)
        with each(inner.value["items"], name="numbers") as number:
            product = call("product", "same", pair=[count, number])
        summed = call("summed", "same", pairs=collect(product.value["pair"]))
    call("all", "same", all=collect(product.value["pair"]), by_item=collect(summed.value["pairs"]))


@workflow
def mappings_loop() -> None:
    with each([{"name": "a", "parts": [1, 2]}, {"name": "ö", "parts": []}]) as item:
        with each(item["parts"]) as part:
            call("part", "same", name=item["name"], part=part)
        call("named", "same", name=item["name"], parts=item["parts"])


@workflow
def condition_in_loop(numbers: list[int]) -> None:
    with each(numbers) as number:
        found = call("found", "plus", a=number, b=0)
        with when(found.value["sum"] > 2):
            large = call("large", "plus", a=number, b=100)
        with otherwise():
            call("small", "same", small=number)
        call("each-one", "same", got=large.value["sum"].or_else("none"))
    call("all", "same", all=collect(large.value["sum"].or_else(None)))


@workflow
def loop_in_condition(go: bool) -> None:
    with when(go), each([1, 2]) as item:
        more = call("more", "plus", a=item)
    call("all", "same", all=collect(more.value["sum"]).or_else(["skipped"]))


@workflow
def loop_in_condition_in_loop(numbers: list[int]) -> None:
    with each(numbers, name="outer") as number:
        found = call("found", "several", count=number)
        with when(number > 1), each(found.value["items"], name="deep") as item:
            called = call("called", "same", pair=[number, item])
    call("all", "same", all=collect(called.value["pair"].or_else(None)))


@workflow
def failure() -> None:
    first = call("first", "plus", a=1)
    bad = call("bad", "broken", word=str(1))
    steps(name="after", after=bad).call(function="contract.functions:same")
    call("aside", "plus", a=first.value["sum"])
    with when(bad.value["x"] == 1):
        call("branch", "same")
    with each(bad.value["y"]) as item:
        call("turn", "same", item=item)
    with each([1, 2]) as number:
        call("number", "same", number=number, bad=bad.value["x"])


@workflow
def failure_in_loop() -> None:
    with each([0, 1, 2]) as item:
        tried = call("tried", "broken_at", item=item, bad=1)
        call("then", "same", item=tried.value["item"])
    call("all", "same", all=collect(tried.value["item"]))


@workflow
def handled(folder: str, fails: bool) -> None:
    noted = call("noted", "note", folder=folder, word="noted")
    with when(fails):
        steps(name="bad", after=noted).call(function="contract.functions:broken")
    steps(name="told", on_exit=True).call(
        function="contract.functions:tell",
        parameters={"folder": folder, "state": exit_status["state"], "error": exit_status["error"]},
    )


@workflow
def retried(folder: str, failures: int) -> None:
    tried = steps(name="tried", retries=2).call(
        function="contract.functions:flaky", parameters={"folder": folder, "failures": failures}
    )
    call("then", "same", tries=tried.value["tries"])
    steps(name="told", on_exit=True).call(
        function="contract.functions:tell",
        parameters={"folder": folder, "state": exit_status["state"], "error": exit_status["error"]},
    )


@workflow
def not_retried(folder: str) -> None:
    steps(name="unfit", retries=3).call(function="contract.functions:note", parameters={"flder": folder})


@workflow
def limited() -> None:
    steps(name="late", timeout=1.5).call(function="contract.functions:slow", parameters={"seconds": 60})


@workflow
def summed_up(numbers: list[int], more: int = 0) -> dict[str, Any]:
    first = call("first", "total", numbers=numbers)
    with when(first.value["sum"] > 5):
        large = call("large", "plus", a=first.value["sum"], b=more)
    return {"sum": first.value["sum"], "large": large.value["sum"].or_else(-1)}


@workflow
def including(numbers: list[int] = [1, 2]) -> None:  # noqa: B006
    small = include(summed_up, {"numbers": numbers}, name="small")
    large = include(summed_up, {"numbers": [small["sum"], 10], "more": small["large"]}, name="large")
    with each([1, 2]) as item:
        one = include(summed_up, {"numbers": [item, item]})
    call("all", "same", small=small["large"], large=large["large"], each=collect(one["sum"]))
