"""Optional CUDA rasteriser on nvdiffrast (its licence: research and evaluation only; never bundled, never required).

Never run by the project's own tests, which have no CUDA device: the conventions below are nvdiffrast's documented ones
(clip space as in OpenGL; output u, v, z/w, face id + 1; rows from the bottom; u, v weigh the first and second corner).
"""

import numpy as np

from .errors import SettingsError
from .raster import EmbreeRasterizer
from .views import Camera

NEAR, FAR = 0.5, 4.0  # the camera is 2 away from a unit sphere


class NvdiffrastRasterizer(EmbreeRasterizer):
    """Pixels by nvdiffrast; the visibility of vertices stays exact, by their own rays."""

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
        self._context = nvdiffrast.RasterizeCudaContext()
        self._faces = torch.from_numpy(self.faces).cuda()  # [F, 3]

    def _pixels(self, camera: Camera, resolution: int) -> tuple[np.ndarray, np.ndarray]:
        local = (self.vertices - camera.position) @ camera.axes.T  # [V, 3]
        half, depth = np.tan(camera.fov / 2), -local[:, 2]  # [V]
        z = (depth * (FAR + NEAR) - 2 * FAR * NEAR) / (FAR - NEAR)  # [V]
        clip = np.stack([local[:, 0] / half, local[:, 1] / half, z, depth], axis=1)  # [V, 4]
        clip = self._torch.from_numpy(clip.astype(np.float32)).cuda()  # [V, 4]
        out, _ = self._nvdiffrast.rasterize(
            self._context, clip[None], self._faces, (resolution, resolution), grad_db=False
        )
        out = out[0].flip(0).cpu().numpy()  # [H, W, 4]
        face_id = out[..., 3].astype(np.int32) - 1  # [H, W]
        u, v = out[..., 0], out[..., 1]  # [H, W]
        weights = np.stack([u, v, 1.0 - u - v], axis=-1)  # [H, W, 3]
        weights[face_id < 0] = 0.0
        return face_id, weights
