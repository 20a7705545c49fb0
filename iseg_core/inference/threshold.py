"""Thresholds that turn probabilities into a region."""

import numpy as np


def otsu(probability: np.ndarray) -> float:
    """Threshold in 0..1 that separates two populations best (Otsu 1979); 0.5 where there is only one value.

    probability: [V] in 0..1. The paper's figure 21 separates its probabilities so.
    """
    counts, borders = np.histogram(probability, bins=256, range=(0.0, 1.0))
    if np.count_nonzero(counts) < 2:
        return 0.5
    centres = (borders[:-1] + borders[1:]) / 2  # [256]
    below = np.cumsum(counts)[:-1]  # [255]
    above = counts.sum() - below  # [255]
    total = np.cumsum(counts * centres)  # [256]
    with np.errstate(invalid="ignore", divide="ignore"):
        between = below * above * (total[:-1] / below - (total[-1] - total[:-1]) / above) ** 2  # [255]
    between = np.nan_to_num(between)
    best = np.flatnonzero(between >= between.max() * (1 - 1e-12))  # an empty stretch of the histogram ties
    return float(borders[1:-1][best].mean())
