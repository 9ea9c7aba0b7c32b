"""The public surface changes only on purpose: in `surface.json` and in the changelog."""

import ast
import json
import sys
from pathlib import Path

from source_tree import modules

FROZEN = Path(__file__).with_name("surface.json")


def surface() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for module in modules():
        if module.path.stem != "__init__":
            continue
        for node in module.tree.body:
            target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            if isinstance(target, ast.Name) and target.id == "__all__" and isinstance(node, ast.Assign | ast.AnnAssign):
                assert node.value is not None
                found[module.name] = sorted(ast.literal_eval(node.value))
    return found


def test_the_public_surface_is_the_frozen_one() -> None:
    now = surface()
    frozen = json.loads(FROZEN.read_text())
    assert now == frozen, f"meant? then run: {Path(__file__).name} --freeze, and say so in CHANGELOG.md"


if __name__ == "__main__" and "--freeze" in sys.argv:
    FROZEN.write_text(json.dumps(surface(), indent=1) + "\n")
