"""What the shop serves."""

from typing import Any

from modelyard.graphs import Graph


def multiply(body: dict[str, Any], factor: int = 2) -> dict[str, Any]:
    return {"y": body["x"] * factor}


triple = Graph("triple")
triple.to(multiply, factor=3).respond()
