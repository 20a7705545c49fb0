"""Check and measure all that needs a GPU, in one run of some minutes: tables, JSON and Markdown.

python benchmarks/gpu.py [--device cuda] [-o out/gpu]             on the GPU; stops with a sentence where there is none
python benchmarks/gpu.py --device cpu --tiny                      the same program, small: proves that it runs

Checks (gpu_checks.py): the device computes what the processor computes (gradients, fields, answers, SAM, what is
replayed), running out of memory halves the batch, nvdiffrast sees what Embree sees (where it is installed).
Figures (gpu_figures.py): what the device can do at most, SAM's encoder and decoder, whole trainings with SAM (ViT-H,
random weights: the same cost, useless masks) and with the geometric teacher, queries, what CUDA graphs and
torch.compile save; each stage apart. A failed check is reported and ends the program with the exit status 1.
"""

import argparse
import json
import platform
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

import iseg_core as iseg
from iseg_core.errors import SettingsError
from iseg_core.system.device import pick_device

sys.path.insert(0, str(Path(__file__).resolve().parent))
from gpu_checks import check_answers, check_gradients, check_rasters, check_replayed, check_sam  # noqa: E402
from gpu_figures import graphs, limits, sam_stages, trainings  # noqa: E402
from gpu_setup import Scale  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
CONSOLE = Console(width=None if sys.stdout.isatty() else 140)
GOALS = {
    "training, sam": ("seconds", 60.0),
    "teacher, sam": ("seconds", 25.0),
    "training, geometric": ("seconds", 10.0),
    "query": ("ms", 3.0),
    "query, refined": ("ms", 3.0),
}


def table(title: str, rows: list[dict]) -> str:
    """Print rows; returns them as Markdown."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[_cell(row.get(key, "")) for key in keys] for row in rows]
    shown = Table(title=title, title_justify="left")
    for key in keys:
        shown.add_column(key, overflow="fold")
    for line in cells:
        shown.add_row(*line)
    CONSOLE.print(shown)
    lines = ["| " + " | ".join(line) + " |" for line in (keys, ["---"] * len(keys), *cells)]
    return "\n".join([f"## {title}", "", *lines, ""])


def _cell(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.2e}" if 0 < abs(value) < 1e-3 else f"{value:.3f}"


def goals(figures: list[dict]) -> list[dict]:
    """Rows of the goals for one H200 beside what was measured."""
    by_run = {row["run"]: row for row in figures}
    return [
        {
            "goal": run,
            "unit": unit,
            "goal value": most,
            "measured": by_run[run][unit],
            "met": str(by_run[run][unit] <= most),
        }
        for run, (unit, most) in GOALS.items()
        if run in by_run
    ]


def about(device: torch.device) -> dict:
    name = platform.processor() or platform.machine()
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    return {
        "device": str(device),
        "name": name,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "engine": iseg.__version__,
    }


SECTIONS = {
    "limits": limits,
    "gradients": check_gradients,
    "answers": check_answers,
    "sam": check_sam,
    "replayed": check_replayed,
    "rasters": check_rasters,
    "sam stages": sam_stages,
    "trainings": trainings,
    "graphs": graphs,
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda (default), cuda:1, mps, cpu")
    parser.add_argument("--tiny", action="store_true", help="smallest sizes: proves that the program runs")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "out" / "gpu")
    options = parser.parse_args(arguments)
    try:
        device = pick_device(options.device)
    except SettingsError as error:
        print(f"Nothing was measured: {error} `--device cpu --tiny` only tries the program.", file=sys.stderr)
        return 2
    if device.type == "cuda" and device.index is None:  # some functions of torch.cuda want to know which
        device = torch.device("cuda", torch.cuda.current_device())
    options.output.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = {"machine": about(device), "tiny": options.tiny, "failed": {}}
    text = [f"# {' '.join(str(value) for value in about(device).values())}", ""]
    scale, began = Scale(options.tiny), time.perf_counter()
    for name, section in SECTIONS.items():
        at = time.perf_counter()
        try:
            result[name] = section(device, scale)
            text.append(table(name, result[name]))
        except Exception as error:  # the other sections still tell something
            result["failed"][name] = f"{type(error).__name__}: {error}"
            traceback.print_exc()
        if device.type == "cuda":
            torch.cuda.empty_cache()
        CONSOLE.print(f"{name}: {time.perf_counter() - at:.1f} s", highlight=False)
        (options.output / "gpu.json").write_text(json.dumps(result, indent=1), encoding="utf-8")  # what there is so far
    if "trainings" in result and not options.tiny:
        result["goals"] = goals(result["trainings"])
        text.append(table("goals", result["goals"]))
    result["seconds"] = time.perf_counter() - began
    (options.output / "gpu.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    (options.output / "gpu.md").write_text("\n".join(text), encoding="utf-8")
    for name, reason in result["failed"].items():
        CONSOLE.print(f"FAILED: {name}: {reason}", highlight=False, markup=False)
    CONSOLE.print(f"{result['seconds']:.0f} s. Written: {options.output / 'gpu.json'} and gpu.md.")
    return 1 if result["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
