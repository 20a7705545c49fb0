"""What runs elsewhere: the workflow asks build.py for what it can do, and the hooks are those of the lock."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import build

ROOT = Path(__file__).resolve().parents[2]
GITHUB = ROOT / ".github"
JOBS: dict[str, Any] = yaml.safe_load((GITHUB / "workflows" / "ci.yml").read_text())["jobs"]
LIBRARIES = re.compile(r"sudo apt-get update && sudo apt-get install -y [a-z0-9 -]+")


def commands(job: str) -> list[str]:
    """The commands of a job, but those that install libraries."""
    found = [step["run"] for step in JOBS[job]["steps"] if "run" in step]
    return [command for command in found if not LIBRARIES.fullmatch(command)]


@pytest.mark.parametrize("job", JOBS)
def test_a_job_runs_what_build_py_knows(job: str):
    assert commands(job)
    for command in commands(job):
        found = re.fullmatch(
            r'python build\.py ?([a-z ]*)|echo "found=\$\(python build\.py ([a-z]+)\)" >> "\$GITHUB_OUTPUT"', command
        )
        assert found and (found[1] or found[2] or "") in build.COMMANDS, command


def test_all_parts_of_the_test_but_the_windows_are_run():
    run = {command for job in JOBS for command in commands(job)}
    assert {"python build.py", *(f"python build.py test {word}" for word in build.steps("") if word != "window")} <= run


def test_systems_and_pythons():
    matrix = JOBS["engine"]["strategy"]["matrix"]
    assert [name.partition("-")[0] for name in matrix["os"]] == ["ubuntu", "windows", "macos"]
    declared = build.tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    lowest, highest = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", declared).groups()  # pyright: ignore
    assert matrix["python"] == [f"3.{lowest}", f"3.{int(highest) - 1}"]


def test_what_a_job_needs_is_there():
    """Names between ${{ }}: of jobs, their outputs, steps and matrices."""
    blenders, extension = JOBS["blenders"], JOBS["extension"]
    assert extension["needs"] == "blenders" and extension["strategy"]["matrix"]["of"] == (
        "${{ fromJSON(needs.blenders.outputs.found) }}"
    )
    assert blenders["outputs"]["found"] == "${{ steps.read.outputs.found }}"
    assert [step["id"] for step in blenders["steps"] if "id" in step] == ["read"]
    used = set(re.findall(r"matrix\.of\.(\w+)", (GITHUB / "workflows" / "ci.yml").read_text()))
    assert used == {"blender", "python"}


@pytest.mark.parametrize("form", sorted((GITHUB / "ISSUE_TEMPLATE").glob("[!c]*.yml")), ids=lambda form: form.name)
def test_an_issue_form_is_one(form: Path):
    content = yaml.safe_load(form.read_text())
    assert content["name"] and content["description"]
    assert len({field["id"] for field in content["body"]}) == len(content["body"])
    assert all(field["attributes"]["label"] for field in content["body"])


def test_the_hooks_are_of_the_locked_ruff():
    lock = (ROOT / "requirements" / "test.lock").read_text()
    (config,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    for hook in config["hooks"]:
        (dependency,) = hook["additional_dependencies"]
        assert f"\n{dependency}\n" in lock
