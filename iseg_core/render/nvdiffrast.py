"""Optional CUDA rasteriser on nvdiffrast (its licence: research and evaluation only; never bundled, never required).

It was never run on a CUDA device. The conventions below are nvdiffrast's documented ones (clip space as in OpenGL;
output u, v, z/w, face id + 1; rows from the bottom; u, v weigh the first and second corner), and the tests draw with a
stand-in that keeps to them.
"""

import numpy as np

from ..errors import SettingsError
from .camera import Camera
from .embree import EmbreeRasterizer, inside

NEAR, FAR = 0.5, 4.0  # the camera is 2 away from a unit sphere
LARGEST, TILE = 2048, 8  # sides that all versions draw: at most so many pixels, and a multiple of so many
DEVICE = "cuda"


class NvdiffrastRasterizer(EmbreeRasterizer):
    """Pixels by nvdiffrast; the visibility of vertices stays exact, by their own rays.

    nvdiffrast rounds corners to a sixteenth of a pixel, which moves edges over pixel centres: of 224 x 224 pixels that
    show 3000 vertices, 0.3 % get another face (by the tests' stand-in). So a view is drawn as many times finer as there
    is room for, an odd number, so that the centres of its pixels are centres there, too; only these are read.

    Any thread may draw, one at a time: the context holds buffers that every call fills. Training keeps to that: while
    its thread draws, nothing else does. A thread has a CUDA device of its own, so all tensors go where the first went,
    to the device that was current when this was made. There, drawing waits in line with what the teacher computes
    (torch's default stream).
    """

    name = "nvdiffrast"

    def __init__(self, vertices: np.ndarray, faces: np.ndarray):
        """vertices [V, 3] in the unit sphere, faces [F, 3]. Raises SettingsError without CUDA or nvdiffrast."""
        super().__init__(vertices, faces)
        try:
            import nvdiffrast.torch as nvdiffrast  # pyright: ignore[reportMissingImports]
            import torch
        except ImportError as error:
            raise SettingsError(
                f"nvdiffrast cannot be loaded ({error}). Build it from its repository, or use the rasteriser 'embree'."
            ) from error
        if not torch.cuda.is_available():
            raise SettingsError("nvdiffrast needs a CUDA device and there is none. Use the rasteriser 'embree'.")
        self._torch, self._nvdiffrast = torch, nvdiffrast
        self._faces = torch.from_numpy(self.faces).to(DEVICE)  # [F, 3]
        self._context = nvdiffrast.RasterizeCudaContext(device=self._faces.device)

    def _pixels(self, camera: Camera, resolution: int) -> tuple[np.ndarray, np.ndarray]:
        if resolution % TILE or resolution > LARGEST:
            return super()._pixels(camera, resolution)
        local = (self.vertices - camera.position) @ camera.axes.T  # [V, 3]
        half, depth = np.tan(camera.fov / 2), -local[:, 2]  # [V]
        z = (depth * (FAR + NEAR) - 2 * FAR * NEAR) / (FAR - NEAR)  # [V]
        clip = np.stack([local[:, 0] / half, local[:, 1] / half, z, depth], axis=1)  # [V, 4]
        clip = self._torch.from_numpy(clip.astype(np.float32)).to(self._faces.device)  # [V, 4]
        times = (LARGEST // resolution - 1) // 2 * 2 + 1  # the greatest odd number that fits
        out, _ = self._nvdiffrast.rasterize(
            self._context, clip[None], self._faces, (times * resolution, times * resolution), grad_db=False
        )
        centres = out[0, times // 2 :: times, times // 2 :: times]  # [H, W, 4]
        drawn = centres.flip(0).cpu().numpy()  # [H, W, 4]
        face_id = drawn[..., 3].astype(np.int32) - 1  # [H, W]
        u, v = inside(drawn[..., 0], drawn[..., 1])  # [H, W] each; pixels of rounded corners may lie beside the face
        weights = np.stack([u, v, 1.0 - u - v], axis=-1)  # [H, W, 3]
        weights[face_id < 0] = 0.0
        return face_id, weights
