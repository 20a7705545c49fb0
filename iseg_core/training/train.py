"""Train: mesh -> proxy -> views -> teacher -> observations -> field -> decoder -> model."""

import datetime
import os
from collections.abc import Callable
from dataclasses import asdict

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
from .observations import Observations
from .run import SLOW_OBSERVE, STAGES, Run
from .settings import DEFAULT_PRESET, Settings, get_settings


def train(  # public: each parameter is one thing that a caller may want otherwise; inside, a Run carries them all
    mesh: "Mesh | str | os.PathLike[str] | tuple",
    teacher: str | Teacher | Callable[[Model], Teacher] = DEFAULT_TEACHER,
    preset: str | Settings = DEFAULT_PRESET,
    seed: int = 0,
    progress: ProgressCallback | None = None,
    cancel: Callable[[], bool] | None = None,
    device: str = "auto",
    objective: str = "votes",
    joint: bool = False,
    checkpoint: Checkpoint | None = None,
    observer: Callable[[Run], Observations] | None = None,
) -> Model:
    """Learn one mesh; the model answers clicks on it through a Segmenter.

    mesh: a Mesh, a file, or (vertices [V, 3], faces [F, 3]). teacher: a name (teachers/registry.py), an
    official weights file, a Teacher, or a function that makes one from the prepared model.
    preset: a name (settings.py), or Settings. progress is told (stage, fraction, seconds left) at every step;
    cancel is asked at every step, and True ends the run with Cancelled. The same seed gives the same model on the same
    machine. objective="rendered" is equation 7 as published, joint=True the ablation of supplementary C: references.
    checkpoint: where the run keeps what it has done, and from which the same run goes on, to the same model, after
    whatever ended it; the caller removes it when the model is safe. References keep none.
    observer: shows the teacher the views in place of observe.observe.

    Raises MeshError, SettingsError, WeightsError or Cancelled; nothing but the checkpoint is written in any case.
    """
    settings = preset if isinstance(preset, Settings) else get_settings(preset)
    mesh = as_mesh(mesh)
    check_size(mesh)
    stages = STAGES if is_geometric(teacher) else STAGES | {"observe": SLOW_OBSERVE}
    reporter = Reporter(stages, progress, cancel)
    reporter.step("surface", 0.0)
    from ..system.device import pick_device

    target = pick_device(device)
    model = prepare(mesh, settings.proxy_vertices)
    own = make_teacher(teacher, model, device)
    reporter.step("surface", 1.0)
    kept = checkpoint if checkpoint is not None and objective == "votes" and not joint else Checkpoint()
    kept.of({"mesh": mesh.hash, "teacher": [own.name, own.fingerprint], "settings": asdict(settings), "seed": seed})
    run = Run(model.proxy, own, settings, seed, target, objective, joint, reporter, kept, observer)
    try:
        model.features, model.networks, agreed = _fit(run)
    except UnusableCheckpoint:  # it has removed itself
        model.features, model.networks, agreed = _fit(run)
    model.settings = asdict(settings)
    model.info = {
        "engine": __version__,
        "teacher": own.name,
        "teacher_fingerprint": own.fingerprint,
        "preset": settings.preset,
        "objective": objective + (", joint" if joint else ""),
        "seed": seed,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "device": str(target),
        "seconds": {stage: round(seconds, 2) for stage, seconds in reporter.seconds.items()},
    }
    if agreed is not None:
        model.info["agreement"] = round(agreed, 4)
    return model


def _fit(run: Run) -> tuple[np.ndarray, dict[str, np.ndarray], float | None]:
    """Observe and fit: features of the proxy's vertices [P, d] float32, and the networks' weights by name.

    And how well the student agrees with its teacher on clicks that were held back; None where all that it could know is
    geometry, and of references.
    """
    import torch

    from .fit import fit_decoder, fit_field, fit_joint
    from .held_back import agreement, hold_back
    from .observe import observe

    run.reporter.begin("observe")
    observations = (run.observer or observe)(run)
    generator = torch.Generator().manual_seed(run.seed)
    agreed: float | None = None
    points = torch.as_tensor(run.proxy.vertices, dtype=torch.float32, device=run.device)  # [P, 3]
    if run.joint:
        run.reporter.step("field", 1.0)
        run.reporter.begin("decoder")
        field, decoder = fit_joint(run, observations, generator)
        features = field(points).detach()  # [P, d]
    else:
        run.reporter.begin("field")
        field = fit_field(run, observations, generator)
        features = field(points).detach()  # [P, d]
        run.reporter.begin("decoder")
        held = None
        if run.objective == "votes" and not is_geometric(run.teacher.name):
            observations, held = hold_back(observations)
        decoder = fit_decoder(run, observations, features, generator)
        agreed = agreement(decoder, features, held) if held else None
    networks = {
        f"{prefix}.{name}": tensor.detach().cpu().numpy()
        for prefix, network in (("field", field), ("decoder", decoder))
        for name, tensor in network.state_dict().items()
    }
    return features.cpu().numpy(), networks, agreed
