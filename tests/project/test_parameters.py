"""A function that takes more than a handful of things hides one of them: which go together."""

import ast
from pathlib import Path

import iseg_core

PACKAGE = Path(iseg_core.__file__).resolve().parent
MOST = 6
MAY_TAKE_MORE = {
    "render/figures.py:draw_views": "what is drawn, and how: all but the mesh have defaults",
    "render/figures.py:draw_from": "as draw_views",
    "training/train.py:train": "public: each is one thing that a caller may want otherwise, by its name",
}


def long_ones(source: str) -> set[str]:
    """The functions of a module that take more than MOST parameters, self and cls not counted."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            if len(names) - (names[:1] in (["self"], ["cls"])) > MOST:
                found.add(node.name)
    return found


def test_only_these_functions_take_more_than_six_parameters():
    found = {
        f"{path.relative_to(PACKAGE).as_posix()}:{name}"
        for path in PACKAGE.rglob("*.py")
        for name in long_ones(path.read_text(encoding="utf-8"))
    }
    assert found == MAY_TAKE_MORE.keys()


def test_a_long_function_is_found():
    names = "a, b, c, d, e, f"
    assert long_ones(f"def far({names}, g): ...\nclass A:\n    def near(self, {names}): ...") == {"far"}
    assert long_ones(f"async def far({names}, *, g=1): ...") == {"far"}
