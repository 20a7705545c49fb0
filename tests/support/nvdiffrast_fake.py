"""A stand-in for nvdiffrast.torch that draws on the processor by its documented conventions, for tests.

Clip space as in OpenGL; u, v weigh the first and second corner; face id + 1; rows from the bottom; corners rounded to a
sixteenth of a pixel; sides of at most 2048 that are multiples of 8. It shares no formula with iseg_core: it casts
parallel rays through normalised device coordinates.
"""

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType

import numpy as np
import pytest
import torch
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh

SUBPIXELS = 16


class RasterizeCudaContext:
    def __init__(self, device: torch.device):
        self.device = device


def rasterize(
    context: RasterizeCudaContext,
    pos: torch.Tensor,
    tri: torch.Tensor,
    resolution: tuple[int, int],
    ranges: None = None,
    grad_db: bool = True,
) -> tuple[torch.Tensor, torch.Tensor]:
    """pos [1, V, 4] float32, tri [F, 3] int32. u, v, z/w, face id + 1 [1, H, W, 4], and derivatives, here none."""
    side = resolution[0]
    assert pos.dtype == torch.float32 and tri.dtype == torch.int32 and pos.is_contiguous() and tri.is_contiguous()
    assert pos.device == tri.device == context.device and pos.shape == (1, pos.shape[1], 4) and len(tri)
    if resolution != (side, side) or side % 8 or side > 2048:
        raise RuntimeError("width and height must be divisible by 8")
    clip, faces = pos[0].numpy().astype(np.float64), tri.numpy()  # [V, 4], [F, 3]
    device = clip[:, :3] / clip[:, 3:]  # [V, 3]
    assert (np.abs(device[:, 2]) <= 1).all(), "a vertex is nearer or farther than what is drawn"
    device[:, :2] = np.round((device[:, :2] + 1) / 2 * side * SUBPIXELS) / (side * SUBPIXELS) * 2 - 1

    scene = rtcore_scene.EmbreeScene(robust=True)  # pyright: ignore[reportAttributeAccessIssue]
    mesh = TriangleMesh(scene, device.astype(np.float32), faces)
    centre = (np.arange(side, dtype=np.float32) + 0.5) / side * 2 - 1  # [W]
    y, x = (part.ravel() for part in np.meshgrid(centre, centre, indexing="ij"))  # [HW] each, from the bottom
    origins = np.stack([x, y, np.full_like(x, -2)], axis=1)  # [HW, 3]
    directions = np.broadcast_to(np.array([0, 0, 1], dtype=np.float32), origins.shape).copy()  # [HW, 3]
    hit = scene.run(origins, directions, output=1)
    del mesh

    out = np.zeros((side * side, 4), dtype=np.float32)  # [HW, 4]
    seen = np.flatnonzero(hit["primID"] >= 0)  # [S]
    corners = clip[faces[hit["primID"][seen]]][:, :, [0, 1, 3]]  # [S, 3, 3] x, y, w of each corner
    points = np.stack([x[seen], y[seen], np.ones(len(seen))], axis=1)[..., None]  # [S, 3, 1]
    weights = np.linalg.solve(corners.swapaxes(1, 2), points)[..., 0]  # [S, 3] the pixel's ray as a sum of the corners
    out[seen, :2] = (weights / weights.sum(axis=1, keepdims=True))[:, :2]
    out[seen, 2] = hit["tfar"][seen] - 2
    out[seen, 3] = hit["primID"][seen] + 1
    return torch.from_numpy(out.reshape(1, side, side, 4)), torch.zeros(1, side, side, 0)


def install(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[torch.Tensor], torch.Tensor] = lambda out: out, finest: int = 672
) -> None:
    """As if nvdiffrast and a CUDA device were there. change: what is wrong with the output; finest: LARGEST, small."""
    package, fake = ModuleType("nvdiffrast"), ModuleType("nvdiffrast.torch")
    package.__spec__, package.torch = ModuleSpec("nvdiffrast", None), fake  # pyright: ignore[reportAttributeAccessIssue]
    fake.RasterizeCudaContext = RasterizeCudaContext  # pyright: ignore[reportAttributeAccessIssue]

    def changed(*inputs, **keywords) -> tuple[torch.Tensor, torch.Tensor]:
        out, derivatives = rasterize(*inputs, **keywords)
        return change(out), derivatives

    fake.rasterize = changed  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "nvdiffrast", package)
    monkeypatch.setitem(sys.modules, "nvdiffrast.torch", fake)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("iseg_core.render.nvdiffrast.DEVICE", "cpu")
    monkeypatch.setattr("iseg_core.render.nvdiffrast.LARGEST", finest)
