"""Pictures of cases, one a part, and plots of IoU."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..clicks.click import Clicks, Prompt, SurfacePoint, VertexClicks
from ..clicks.resolve import position_of, vertex_of
from ..geometry.domain import Domain
from ..geometry.mesh import Mesh
from ..render.camera import sphere_cameras
from ..render.embree import EmbreeRasterizer
from ..render.figures import contact_sheet, draw_from
from .plots import INK, colour, figure, legend, save

if TYPE_CHECKING:
    from PIL.Image import Image

DIRECTIONS = 26  # from which a case may be shown
SIDE = 260  # pixels of one picture of a case


def draw_curves(iou: Mapping[str, np.ndarray], path: Path) -> None:
    """Plot IoU against the number of clicks: mean over meshes, and spread. iou: of each method [meshes, clicks]."""
    drawn, axes = figure(6.4, 4.2)
    for method, curve in iou.items():
        mean, spread = curve.mean(axis=0), curve.std(axis=0)  # [clicks] each
        count = np.arange(1, len(mean) + 1)  # [clicks]
        axes.plot(count, mean, color=colour(method), label=method, linewidth=2)
        axes.fill_between(
            count, mean - spread, np.minimum(mean + spread, 1), color=colour(method), alpha=0.10, linewidth=0
        )
    axes.set(xlabel="clicks", ylabel="IoU (band: one standard deviation over meshes)", ylim=(0, 1), xlim=(1, None))
    axes.set_xticks([1, 2, 3, 5, 10, 15, 20])
    legend(axes, loc="lower right")
    save(drawn, path)


def draw_categories(iou: Mapping[str, Sequence[float]], clicks: Sequence[int], path: Path) -> None:
    """Plot a bar per category for each number of clicks. iou: of each category, a value per entry of `clicks`."""
    names = sorted(iou, key=lambda name: -iou[name][0])
    drawn, axes = figure(max(6.4, 0.5 * len(names) + 1.5), 4.2)
    x, width = np.arange(len(names)), 0.8 / len(clicks)
    for k, count in enumerate(clicks):
        shade = 0.25 + 0.75 * (k + 1) / len(clicks)
        values = [iou[name][k] for name in names]
        axes.bar(x + (k + 0.5) * width - 0.4, values, width, color=colour("trained"), alpha=shade, label=f"@{count}")
    axes.set_xticks(x, names, rotation=40, ha="right")
    axes.set(ylabel="IoU", ylim=(0, 1))
    axes.tick_params(axis="x", colors=INK)
    legend(axes, loc="upper center", ncols=len(clicks), bbox_to_anchor=(0.5, 1.12))
    save(drawn, path)


def draw_case(
    mesh: Mesh, wanted: np.ndarray, answers: Iterable[tuple[np.ndarray, Clicks | VertexClicks]], domain: Domain
) -> "Image":
    """Draw a row: what was wanted, then each answer with its clicks. Both are [V] or [F], as the domain says."""
    from PIL import Image

    answers = list(answers)
    shapes = [(wanted.astype(np.float32), ()), *answers]
    direction = best_direction(mesh, wanted, [prompt for prompt, _ in answers[-1][1]], domain)
    row = Image.new("RGB", (SIDE * len(shapes), SIDE), "white")
    for i, (answer, made) in enumerate(shapes):
        dots = [(position_of(prompt, mesh), include) for prompt, include in made]
        row.paste(draw_from(direction, mesh.vertices, mesh.faces, answer, dots, SIDE, domain), (i * SIDE, 0))
    return row


def best_direction(
    mesh: Mesh, wanted: np.ndarray, clicked: Sequence[Prompt], domain: Domain = Domain.VERTEX
) -> np.ndarray:
    """Direction [3] from which clicks and what is wanted are seen best.

    wanted: vertices [V] bool, clicks on vertices: most of the clicks, then most of what is wanted. With the domain
    face, wanted are faces [F] bool, which may lie in a corner, and clicks points of the surface: both count alike.
    """
    points, faces = mesh.vertices, mesh.faces  # [V, 3], [F, 3]
    used = points[np.unique(faces)]  # [U, 3]
    centre = (used.min(axis=0) + used.max(axis=0)) / 2  # [3]
    points = (points - centre) / np.linalg.norm(used - centre, axis=1).max()  # [V, 3] in the unit sphere
    rasterizer, cameras = EmbreeRasterizer(points, faces), sphere_cameras(DIRECTIONS)
    rasters = [rasterizer.rasterize(camera, 96) for camera in cameras]
    if domain == Domain.VERTEX:
        visible = np.array([raster.visible for raster in rasters])  # [N, V]
        at = [vertex_of(prompt, mesh) for prompt in clicked]
        seen = visible[:, at].sum(axis=1) + visible[:, wanted].mean(axis=1)  # [N]
    else:
        pixels = np.array([np.bincount(r.face_id[r.face_id >= 0], minlength=len(faces)) for r in rasters])  # [N, F]
        shown = pixels[:, wanted].sum(axis=1)  # [N]
        at = [prompt.face for prompt in clicked if isinstance(prompt, SurfacePoint)]
        seen = (pixels[:, at] > 0).sum(axis=1) / max(len(at), 1) + shown / max(shown.max(), 1)  # [N]
    return cameras[int(seen.argmax())].position


def draw_cases(rows: Sequence["Image"], captions: Sequence[str], path: Path) -> None:
    """Draw rows of draw_case under each other."""
    contact_sheet(rows, captions).save(path)
