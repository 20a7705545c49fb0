"""The whole run: mesh -> proxy -> views -> teacher -> observations -> field -> decoder -> model."""

import datetime
import os
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from ..formats.load import as_mesh
from ..geometry.mesh import Mesh
from ..progress import ProgressCallback, Reporter
from ..storage.checkpoint import Checkpoint, UnusableCheckpoint
from ..storage.prepare import prepare
from ..storage.trained_model import Model, check_size
from ..teachers.make import make_teacher
from ..teachers.registry import DEFAULT_TEACHER, is_geometric
from ..teachers.teacher import Teacher
from ..version import __version__
from .settings import DEFAULT_PRESET, Settings, get_settings

if TYPE_CHECKING:
    import torch

    from .observations import Observations


def train(
    mesh: "Mesh | str | os.PathLike | tuple",
    teacher: str | Teacher | Callable[[Model], Teacher] = DEFAULT_TEACHER,
    preset: str | Settings = DEFAULT_PRESET,
    seed: int = 0,
    progress: ProgressCallback | None = None,
    cancel: Callable[[], bool] | None = None,
    device: str = "auto",
    objective: str = "votes",
    joint: bool = False,
    checkpoint: Checkpoint | None = None,
    observer: "Callable[..., Observations] | None" = None,
) -> Model:
    """Learn one mesh; the model answers clicks on it through a Segmenter.

    mesh: a Mesh, a file, or (vertices [V, 3], faces [F, 3]). teacher: a name (teachers/registry.py), an
    official weights file, a Teacher, or a function that makes one from the prepared model.
    preset: a name (settings.py), or Settings. progress is told (stage, fraction, seconds left) at every step;
    cancel is asked at every step, and True ends the run with Cancelled. The same seed gives the same model on the same
    machine. objective="rendered" is equation 7 as published, joint=True the ablation of supplementary C: references.
    checkpoint: where the run keeps what it has done, and from which the same run goes on, to the same model, after
    whatever ended it; the caller removes it when the model is safe. References keep none.
    observer: looks at the views in place of observe.observe, with its arguments.

    Raises MeshError, SettingsError, WeightsError or Cancelled; nothing but the checkpoint is written in any case.
    """
    settings = preset if isinstance(preset, Settings) else get_settings(preset)
    mesh = as_mesh(mesh)
    check_size(mesh)
    shares = {"surface": 5.0, "observe": 35.0 if is_geometric(teacher) else 400.0, "field": 15.0, "decoder": 45.0}
    report = Reporter(shares, progress, cancel)
    report.step("surface", 0.0)
    from ..system.device import pick_device

    target = pick_device(device)
    model = prepare(mesh, settings.proxy_vertices)
    made = make_teacher(teacher, model, device)
    report.step("surface", 1.0)
    kept = checkpoint if checkpoint is not None and objective == "votes" and not joint else Checkpoint()
    kept.of({"mesh": mesh.hash, "teacher": [made.name, made.fingerprint], "settings": asdict(settings), "seed": seed})
    try:
        _teach(model, made, settings, seed, target, objective, joint, report, kept, observer)
    except UnusableCheckpoint:  # it has removed itself
        _teach(model, made, settings, seed, target, objective, joint, report, kept, observer)
    model.settings = asdict(settings)
    model.info = {
        "engine": __version__,
        "teacher": made.name,
        "teacher_fingerprint": made.fingerprint,
        "preset": settings.preset,
        "objective": objective + (", joint" if joint else ""),
        "seed": seed,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "device": str(target),
        "seconds": {stage: round(seconds, 2) for stage, seconds in report.seconds.items()},
    }
    return model


def _teach(
    model: Model,
    teacher: Teacher,
    settings: Settings,
    seed: int,
    device: "torch.device",
    objective: str,
    joint: bool,
    report: Reporter,
    checkpoint: Checkpoint,
    observer: "Callable[..., Observations] | None",
) -> None:
    """Fill in the model's networks and features."""
    import torch

    from ..render.backends import make_rasterizer
    from ..render.camera import sphere_cameras
    from .fit import fit_decoder, fit_field, fit_joint
    from .observe import observe

    vertices, faces = model.proxy.vertices, model.proxy.faces  # [P, 3], [G, 3]
    report.begin("observe")
    observations = (observer or observe)(
        teacher,
        make_rasterizer(vertices, faces, "auto" if device.type == "cuda" else "embree"),
        sphere_cameras(settings.views),
        vertices,
        faces,
        settings,
        np.random.default_rng(seed),
        step=lambda fraction: report.step("observe", fraction),
        keep_views=objective == "rendered",
        checkpoint=checkpoint,
    )
    generator = torch.Generator().manual_seed(seed)

    def fitting(stage: str) -> Callable[[float], None]:
        report.begin(stage)
        return lambda fraction: report.step(stage, fraction)

    points = torch.as_tensor(vertices, dtype=torch.float32, device=device)  # [P, 3]
    if joint:
        report.step("field", 1.0)
        field, decoder = fit_joint(observations, vertices, settings, generator, fitting("decoder"), device, objective)
        features = field(points).detach()  # [P, d]
    else:
        field = fit_field(observations, vertices, settings, generator, fitting("field"), device, checkpoint)
        features = field(points).detach()  # [P, d]
        decoder = fit_decoder(
            observations, vertices, features, settings, generator, fitting("decoder"), device, objective, checkpoint
        )
    model.features = features.cpu().numpy()
    networks = {"field": field, "decoder": decoder}
    model.networks = {
        f"{prefix}.{name}": tensor.detach().cpu().numpy()
        for prefix, network in networks.items()
        for name, tensor in network.state_dict().items()
    }
