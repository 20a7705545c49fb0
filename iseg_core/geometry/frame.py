"""Frame: the axes of a shape itself, so that how it is turned in space does not change what is computed of it."""

import numpy as np

DISTINCT = 1e-3  # difference of two moments, against the greatest, from which on their axes are the shape's own
LOPSIDED = 1e-6  # skewness from which on an axis has a direction of its own


def principal_axes(points: np.ndarray) -> np.ndarray:
    """Principal axes of points [N, 3] as the rows of a rotation [3, 3]: points @ axes.T turn with the shape.

    The first axis points to where the shape reaches farther, the second to where it does less, the third where a
    rotation has to. Where the moments are so alike
    that they give no axes, as of a cube, the rotation is the identity.
    """
    centred = points - points.mean(axis=0)  # [N, 3]
    moments, axes = np.linalg.eigh(centred.T @ centred / len(points))  # [3] ascending, [3, 3] columns
    if (np.diff(moments) <= DISTINCT * moments[2]).any():
        return np.eye(3)
    axes = axes.T  # [3, 3] rows
    axes *= np.sign(axes[np.arange(3), np.abs(axes).argmax(axis=1)])[:, None]
    along = centred @ axes.T  # [N, 3]
    skewness = (along**3).mean(axis=0) / np.maximum(moments, 1e-12 * moments[2]) ** 1.5  # [3]
    axes[skewness < -LOPSIDED] *= -1
    if np.linalg.det(axes) < 0:
        axes[np.abs(skewness).argmin()] *= -1
    return axes * np.array([[1], [-1], [-1]])
