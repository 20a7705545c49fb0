"""Prepare a mesh: its proxy and assembly, as a model without networks."""

import numpy as np

from ..geometry.mesh import Mesh
from ..geometry.proxy import make_proxy
from ..parts.measure import measure
from .trained_model import Model

INSTANT_VERTICES = 5000  # of the proxy on which geometry answers; more gains nothing


def prepare(mesh: Mesh, max_vertices: int) -> Model:
    """Make proxy and assembly of a mesh: a model without networks, which answers by geometry alone.

    max_vertices: of the proxy, about. Raises SettingsError where they are too few for a shape.
    """
    proxy = make_proxy(mesh, max_vertices)
    assembly = measure(proxy.vertices, proxy.faces, proxy.labels)
    features = np.zeros((len(proxy.vertices), 0), dtype=np.float32)  # [P, 0]
    return Model(mesh, proxy, assembly, features, info={"teacher": "geometric", "preset": "instant", "seed": 0})
