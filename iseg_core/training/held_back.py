"""Held-back clicks: how well a student agrees with its own teacher on clicks that it was never trained on.

Of a teacher who is right everywhere a student says nearly the same; of one who errs, only what the errors have in
common. So the agreement tells how far the student may overrule geometry (inference/student.py).
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..clicks.click import Granularity
from ..network import Decoder
from .batches import pad
from .observations import Observations

EVERY = 8  # of so many clicked vertices one is held back


def hold_back(observations: Observations) -> tuple[Observations, Observations]:
    """Split observations: those to train a decoder on, and the single clicks that are held back."""
    singles = [k for k, clicks in enumerate(observations.click_sets) if len(clicks) == 1]
    held = singles[EVERY // 2 :: EVERY]
    vertices = {observations.click_sets[k][0].vertex for k in held}
    kept = [k for k, clicks in enumerate(observations.click_sets) if clicks[0].vertex not in vertices]
    return _only(observations, kept), _only(observations, held)


def _only(observations: Observations, rows: list[int]) -> Observations:
    """Take the answers to some of the click sets; views that were kept are no part of it."""
    return replace(
        observations,
        click_sets=[observations.click_sets[k] for k in rows],
        inside=observations.inside[rows],
        seen=observations.seen[rows],
        views=None,
    )


@torch.inference_mode()
def agreement(decoder: Decoder, features: Tensor, held: Observations) -> float | None:
    """Mean IoU of the student's parts with its teacher's, over the held-back clicks; None where there are none.

    features [P, d] of the proxy's vertices. Only vertices that a view showed with the click count.
    """
    row, found = Granularity.PART.row, []
    prepared = decoder.precompute(features)
    for clicks, inside, seen in zip(held.click_sets, held.inside[:, row], held.seen[:, row], strict=True):
        shown = seen > 0  # [P]
        said = shown & (inside > 0.5 * seen)  # [P] by the teacher
        if not said.any():
            continue
        vertices, signs, granularity = (
            tensor.to(features.device) for tensor in pad([clicks], [row])
        )  # [1, 1], .., [1]
        logits = decoder.decode(prepared, features[vertices], signs, granularity)[0]  # [P]
        ours = shown & (logits.float().cpu().numpy() > 0)  # [P]
        found.append(np.count_nonzero(ours & said) / np.count_nonzero(ours | said))
    return float(np.mean(found)) if found else None
