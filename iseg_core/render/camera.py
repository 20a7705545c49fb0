"""Cameras evenly spread over the sphere (paper, section 3.1; figures of the camera: supplementary D)."""

from dataclasses import dataclass

import numpy as np

RADIUS = 2.0  # distance of a camera to the origin; the shape lies in the unit sphere
FOV = np.pi / 3  # vertical field of view: the unit sphere is exactly inscribed


@dataclass(frozen=True, eq=False)
class Camera:
    """Pinhole camera that looks at the origin, Y up."""

    position: np.ndarray  # [3] float64
    fov: float = FOV

    @property
    def axes(self) -> np.ndarray:
        """Axes of the camera in world coordinates, as rows right, up, backward. [3, 3]"""
        back = self.position / np.linalg.norm(self.position)  # [3]
        up = np.array([0.0, 1.0, 0.0]) if abs(back[1]) < 0.999 else np.array([0.0, 0.0, 1.0])  # [3]
        right = np.cross(up, back)  # [3]
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(back, right), back])  # [3, 3]

    def project(self, points: np.ndarray, resolution: int) -> np.ndarray:
        """Project points [N, 3] to pixel coordinates: x right, y down, first pixel's centre at 0.5. [N, 2] float64"""
        local = (points - self.position) @ self.axes.T  # [N, 3]
        half = np.tan(self.fov / 2)
        xy = local[:, :2] / (-local[:, 2:] * half)  # [N, 2] in -1..1
        return (xy * [1.0, -1.0] + 1.0) * (resolution / 2)  # [N, 2]

    def rays(self, resolution: int) -> np.ndarray:
        """Unit directions through the pixel centres, row by row from the top. [resolution^2, 3] float64"""
        centre = (np.arange(resolution) + 0.5) / resolution * 2 - 1  # [W]
        half = np.tan(self.fov / 2)
        x, y = np.meshgrid(centre * half, -centre * half)  # [H, W]
        local = np.stack([x, y, -np.ones_like(x)], axis=-1).reshape(-1, 3)  # [HW, 3]
        local /= np.linalg.norm(local, axis=1, keepdims=True)
        return local @ self.axes  # [HW, 3]


def sphere_cameras(count: int) -> list[Camera]:
    """Place `count` cameras on the Fibonacci lattice of the sphere: even, without clusters at the poles."""
    i = np.arange(count) + 0.5
    y = 1 - 2 * i / count  # [N]
    azimuth = np.pi * (1 + 5**0.5) * i  # [N]
    flat = np.sqrt(1 - y * y)  # [N]
    positions = RADIUS * np.stack([flat * np.cos(azimuth), y, flat * np.sin(azimuth)], axis=1)  # [N, 3]
    return [Camera(p) for p in positions]
