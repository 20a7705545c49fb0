"""Report of the experiments: results.json, table.md, times.md, and the tables on the terminal."""

import json
import os
import platform
from dataclasses import asdict
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table as TerminalTable

from ..system.atomic_file import atomic_write
from ..version import __version__
from .experiment import MACHINE, Record, Report, Setup, Table
from .run import Failures, experiments


def write_report(
    setup: Setup, records: dict[str, dict[str, Record]], failures: Failures, console: Console
) -> dict[str, Report]:
    """Write the report of records by experiment and mesh into the setup's folder, and print its tables.

    table.md and the pictures depend on the seed alone: a run of the same seed writes the same. Times are in times.md.
    """
    known = experiments()
    reports = {name: known[name].report(found, setup) for name, found in records.items() if found}
    text, times = [f"# iSeg {__version__}: {setup.title}\n"], []
    for name, report in reports.items():
        text.append(f"## {name}: {known[name].question}\n")
        for table in report.tables:
            text.append(markdown(table))
            show(table, console)
        text += [f"![{name}]({picture})\n" for picture in report.pictures]
        machine = {mesh: record.get(MACHINE) for mesh, record in records[name].items()}
        if any(machine.values()):
            times.append(markdown(_times(f"{name}: time and memory", machine)))
    if failures:
        table = Table("Meshes that failed", [{"mesh": mesh, "why": why} for mesh, why in failures.items()])
        text.append(markdown(table))
        show(table, console)
    result = {
        "engine": __version__,
        "setup": {name: getattr(setup, name) for name in ("teacher", "preset", "seed", "device")},
        "settings": asdict(setup.settings),
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "tables": {name: {t.title: list(t.rows) for t in report.tables} for name, report in reports.items()},
        "records": records,
        "failures": failures,
    }
    for name, content in {
        "results.json": json.dumps(result, indent=1, default=float),
        "table.md": "\n".join(text),
        "times.md": "\n".join([f"# On {os.cpu_count()} cores\n", *times]),
    }.items():
        with atomic_write(setup.folder / name) as file:
            file.write(content.encode())
    return reports


def markdown(table: Table) -> str:
    """Write a table as Markdown, with its title and note."""
    lines = [f"### {table.title}\n"]
    if table.rows:
        names = list(table.rows[0])
        lines += [_line(names), _line(["---"] * len(names))]
        lines += [_line([_cell(row.get(name)) for name in names]) for row in table.rows]
        lines.append("")
    return "\n".join([*lines, f"{table.note}\n"] if table.note else lines)


def show(table: Table, console: Console) -> None:
    """Print a table."""
    grid = TerminalTable(title=table.title, box=box.SIMPLE, title_justify="left")
    for name in table.rows[0] if table.rows else ():
        grid.add_column(str(name))
    for row in table.rows:
        grid.add_row(*(_cell(value) for value in row.values()))
    console.print(grid)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float | np.floating):
        return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
    return str(value)


def _times(title: str, machine: dict[str, Any]) -> Table:
    """Lay out nested figures flat, a row a mesh, and their mean and greatest."""
    rows = []
    for mesh, figures in machine.items():
        row: dict[str, Any] = {"mesh": mesh}
        for name, value in (figures or {}).items():
            nested = isinstance(value, dict)
            row |= {f"{name} {inner}": v for inner, v in value.items()} if nested else {name: value}
        rows.append(row)
    names = [name for name in rows[0] if name != "mesh"]
    for label, fold in (("mean", np.mean), ("greatest", np.max)):
        values = {name: [row[name] for row in rows if row.get(name) is not None] for name in names}
        rows.append({"mesh": label, **{name: float(fold(v)) if v else None for name, v in values.items()}})
    return Table(title, rows)
