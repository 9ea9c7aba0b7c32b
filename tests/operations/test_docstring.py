from modelyard.operations.docstring import read_docstring


def documented() -> None:
    """Fit a function
    and log the run.

    It takes what it is given.

    And more.

    Parameters
    ----------
    dataset
        The data:
        a file or a folder.
    first, second : int
        Two at once.
    silent
    unit
        In ``seconds``.

    Returns
    -------
    None
        Nothing.

    Examples
    --------
    Some words.

    $ modelyard train --dataset a.parquet \\
        --function f
    $ modelyard train
    """


class Result:
    """What came out.

    Attributes
    ----------
    rows
        How many.
    """


def undocumented() -> None:
    pass


def test_the_parts_are_told_apart() -> None:
    text = read_docstring(documented)

    assert text.summary == "Fit a function and log the run."
    assert text.description == "It takes what it is given.\n\nAnd more."
    assert text.parameters == {
        "dataset": "The data: a file or a folder.",
        "first": "Two at once.",
        "second": "Two at once.",
        "silent": "",
        "unit": "In ``seconds``.",
    }
    assert text.examples == ("modelyard train --dataset a.parquet --function f", "modelyard train")


def test_a_result_documents_its_attributes() -> None:
    assert read_docstring(Result).results == {"rows": "How many."}


def test_no_docstring_is_no_parts() -> None:
    assert read_docstring(undocumented) == ("", "", {}, {}, ())
