"""What a training holds: one surface, whose matrices are factorised once."""

import copy
import pickle
from collections import Counter

import numpy as np
import pytest
from support.shapes import dumbbell, tiny_settings

import iseg_core as iseg
from iseg_core.geometry import sparse_lu
from iseg_core.parts.surface import TIMES


@pytest.fixture
def factorised(monkeypatch: pytest.MonkeyPatch) -> Counter[bytes]:
    """How often each matrix was factorised, by its entries."""
    counted: Counter[bytes] = Counter()
    make = sparse_lu._make

    def counting(matrix, *rest) -> None:
        counted[matrix.data.tobytes() + matrix.indices.tobytes()] += 1
        make(matrix, *rest)

    monkeypatch.setattr(sparse_lu, "_make", counting)
    return counted


def test_a_training_and_its_answers_factorise_each_matrix_once(factorised):
    model = iseg.train(dumbbell(), preset=tiny_settings(ridge=0.5))
    assert factorised.total() == len(factorised) == 2 + 1 + len(TIMES) + 1  # smoothing, spectral, fields, regression
    segmenters = iseg.Segmenter(model), iseg.Segmenter(model)
    answers = [segmenter.segment(clicks=[(0, True), (50, False)]) for segmenter in segmenters]
    assert np.array_equal(answers[0], answers[1])
    assert factorised.total() == 2 + 1 + len(TIMES) + 1


def test_a_saved_model_answers_by_factors_of_its_own(factorised, tmp_path):
    model = iseg.train(dumbbell(2), preset=tiny_settings())
    model.save(tmp_path / "model.iseg")
    before = factorised.total()
    answer = iseg.Segmenter(iseg.load(tmp_path / "model.iseg")).segment(positive=[0])
    assert factorised.total() == before + len(TIMES)
    assert np.array_equal(answer, iseg.Segmenter(model).segment(positive=[0]))
    assert factorised.total() == before + len(TIMES)


def test_factors_are_neither_pickled_nor_copied():
    model = iseg.train(dumbbell(2), preset=tiny_settings())
    surface = model.assembly.surfaces[0]
    assert "_factors" in vars(surface)  # of the training
    for copied in (pickle.loads(pickle.dumps(surface)), copy.deepcopy(surface)):
        assert vars(copied).keys() == surface.__dataclass_fields__.keys()
        assert np.array_equal(copied.fields(3), surface.fields(3))
    assert len(pickle.dumps(surface)) < 1.1 * sum(array.nbytes for array in model.assembly.arrays().values()) + (
        surface.vertices.nbytes + 2000
    )
