"""The house's rules, which stand in pyproject.toml under tool.importlinter."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def lint_imports(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", code, "--no-cache", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8")


def test_every_import_keeps_the_rules():
    result = lint_imports()
    assert result.returncode == 0, result.stdout
    assert "kept, 0 broken" in result.stdout


def test_an_import_that_goes_up_is_found(tmp_path: Path):
    rules = tmp_path / "rules.toml"
    rules.write_text(
        "[tool.importlinter]\nroot_package = 'iseg_core'\n[[tool.importlinter.contracts]]\nname = 'upside down'\n"
        "type = 'layers'\ncontainers = ['iseg_core']\nlayers = ['geometry', 'formats']\n"
    )
    result = lint_imports(str(rules))
    assert result.returncode == 1 and "iseg_core.formats is not allowed to import iseg_core.geometry" in result.stdout


def test_no_function_of_the_extension_imports():
    """Such an import hides a circle, or that something is missing until it is used."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    found = [
        f"{path.relative_to(ROOT)}:{statement.lineno}"
        for path in sorted((ROOT / "iseg_blender").rglob("*.py"))
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(function, functions)
        for statement in ast.walk(function)
        if isinstance(statement, ast.Import | ast.ImportFrom)
    ]
    assert found == []
