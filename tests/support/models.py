"""Models of random numbers, and whether two are the same."""

import numpy as np

from iseg_core.geometry.mesh import Mesh
from iseg_core.geometry.proxy import Proxy
from iseg_core.parts.assembly import Assembly
from iseg_core.parts.surface import Surface
from iseg_core.storage.trained_model import SAMPLES, Model


def make_model(seed: int = 0) -> Model:
    """A model of random numbers: a tetrahedron of the user's on a triangle."""
    random = np.random.default_rng(seed)
    faces = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]], dtype=np.int32)  # [F, 3]
    proxy = Proxy(
        vertices=random.random((3, 3)),  # [P, 3]
        faces=np.array([[0, 1, 2]], dtype=np.int32),  # [G, 3]
        carry_index=random.integers(0, 3, (4, 3)).astype(np.int32),  # [V, 3]
        carry_weight=np.full((4, 3), 1 / 3, dtype=np.float32),  # [V, 3]
    )
    surface = Surface(
        vertices=proxy.vertices,
        edges=np.array([[0, 1], [1, 2], [0, 2]], dtype=np.int32),  # [E, 2]
        weights=random.random(3),  # [E]
        lengths=random.random(3),  # [E]
        mass=random.random(3),  # [P]
        area=2.5,
    )
    networks = {
        "field.0.weight": random.standard_normal((5, 3)).astype(np.float32),
        "decoder.steps": np.asarray(400),  # []
        "decoder.query.weight": random.standard_normal((4, 4)).astype(np.float32).T,  # not contiguous
    }
    return Model(
        mesh=Mesh(random.random((4, 3)), faces),
        proxy=proxy,
        assembly=Assembly(np.zeros(3, np.int32), (surface,)),
        features=random.standard_normal((3, 5)).astype(np.float32),  # [P, d]
        networks=networks,
        settings={"preset": "draft", "decoder_widths": [128, 128], "ridge": 0.5},
        info={"teacher": "geometric", "preset": "draft", "seed": seed, "seconds": {"fit": 1.25}, "name": "Stühle"},
    )


def arrays(model: Model) -> dict[str, np.ndarray]:
    """Arrays of a model under the names that they have in its file."""
    found = {
        "mesh.vertices": model.mesh.vertices,
        "mesh.faces": model.mesh.faces,
        "proxy.vertices": model.proxy.vertices,
        "proxy.faces": model.proxy.faces,
        "proxy.carry_index": model.proxy.carry_index,
        "proxy.carry_weight": model.proxy.carry_weight,
        "features": model.features,
        **{f"samples.{name}": getattr(model.proxy.samples, name) for name in SAMPLES},
        **{f"surface.{name}": array for name, array in model.assembly.arrays().items()},
        **model.networks,
    }
    return {name: np.asarray(array, order="C") for name, array in found.items()}


def assert_equal(a: Model, b: Model) -> None:
    assert arrays(a).keys() == arrays(b).keys()
    for name, array in arrays(a).items():
        other = arrays(b)[name]
        assert array.dtype == other.dtype and array.shape == other.shape and array.tobytes() == other.tobytes(), name
    assert a.settings == b.settings and a.info == b.info
    assert a.mesh.hash == b.mesh.hash
