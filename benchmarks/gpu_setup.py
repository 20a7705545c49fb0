"""Set-up that checks and figures of gpu.py share: sizes, a clock, a mesh that was observed, SAM with random weights."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from iseg_core.clicks.click import Granularity
from iseg_core.network import Decoder
from iseg_core.storage.prepare import prepare
from iseg_core.storage.trained_model import Model
from iseg_core.teachers.make import make_teacher
from iseg_core.teachers.sam import SamTeacher
from iseg_core.teachers.teacher import BatchTeacher, Embedding, Prediction, RenderedView
from iseg_core.training.batches import Ahead, VoteBatches
from iseg_core.training.fit import decoder_gradients
from iseg_core.training.observations import Observations
from iseg_core.training.observe import observe
from iseg_core.training.optimizer import Descent
from iseg_core.training.run import Run
from iseg_core.training.settings import get_settings

sys.path.insert(0, str(Path(__file__).resolve().parent))
from speed import jack  # noqa: E402


class Scale:
    """Sizes of a run: whole, or tiny."""

    def __init__(self, tiny: bool):
        self.tiny = tiny
        self.vertices = 300 if tiny else 3000
        self.architecture = "tiny" if tiny else "vit_h"
        self.matrix = 256 if tiny else 8192
        self.stream = 1 << (20 if tiny else 30)  # bytes
        self.repeats = 2 if tiny else 10
        self.settings = get_settings("standard")
        if tiny:
            self.settings = replace(
                self.settings, views=4, click_range=(24, 24), hidden_targets=4, field_steps=5, decoder_steps=5
            )
        self.sam_settings = self.settings if tiny else replace(self.settings, views=200)


class Clock:
    """Seconds of work on a device."""

    def __init__(self, device: torch.device):
        self.device = device

    def now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()
        return time.perf_counter()

    def of(self, run: Callable[[], Any], repeats: int) -> float:
        """Median of some runs, after one that is not counted."""
        run()
        times = []
        for _ in range(repeats):
            began = self.now()
            run()
            times.append(self.now() - began)
        return float(np.median(times))


def observed(scale: Scale) -> tuple[Observations, Run]:
    """What the geometric teacher says of a mesh in few views, and the run that it is said in."""
    model = prepare(jack(scale.vertices), scale.settings.proxy_vertices)
    run = Run(model.proxy, make_teacher("geometric", model), scale.settings)
    return observe(replace(run, settings=replace(run.settings, views=min(run.settings.views, 20)))), run


def decoding(
    seen: tuple[Observations, Run], device: torch.device, scale: Scale, replayed: bool
) -> Callable[[], Sequence[torch.Tensor]]:
    """Function that computes the gradients of one batch of the decoder after the other, on random features."""
    observations, vertices = seen[0], seen[1].proxy.vertices  # [P, 3]
    dim, draws = observations.b.shape[1], torch.Generator().manual_seed(2)
    features = torch.randn(len(vertices), dim, generator=torch.Generator().manual_seed(1)).to(device)  # [P, d]
    decoder = Decoder(dim, scale.settings.decoder_widths, draws).to(device)
    source = VoteBatches(observations, vertices, scale.settings, draws)
    descent = Descent("decoder", decoder, scale.settings.decoder_rate, 1, draws)
    return decoder_gradients(decoder, features, Ahead(source), descent, replayed)


def random_sam(architecture: str) -> Any:
    """Make a Sam of the official classes with random weights: an official architecture, or a tiny one."""
    from segment_anything import sam_model_registry
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    torch.manual_seed(0)
    if architecture != "tiny":
        return sam_model_registry[architecture]()
    encoder = ImageEncoderViT(
        img_size=128,
        embed_dim=48,
        depth=2,
        num_heads=2,
        out_chans=32,
        use_rel_pos=True,
        window_size=3,
        global_attn_indexes=(1,),
    )
    prompts = PromptEncoder(embed_dim=32, image_embedding_size=(8, 8), input_image_size=(128, 128), mask_in_chans=16)
    transformer = TwoWayTransformer(depth=2, embedding_dim=32, num_heads=4, mlp_dim=64)
    return Sam(encoder, prompts, MaskDecoder(transformer_dim=32, transformer=transformer, iou_head_hidden_dim=32))


class StandIn(BatchTeacher):
    """SAM at its full cost, with answers that make sense: parts of three sizes, so that second clicks are asked, too.

    SAM computes everything, and its masks are thrown away. `seconds` is what it took: the teacher's time.
    """

    name = fingerprint = "sam with random weights"

    def __init__(self, sam: SamTeacher, model: Model, clock: Clock):
        self.sam, self.clock = sam, clock
        self.feature_dim, self.resolution = sam.feature_dim, sam.resolution
        points, self.faces = model.proxy.vertices, model.proxy.faces  # [P, 3], [G, 3]
        arm = np.abs(points).argmax(axis=1)  # [P]
        part = 2 * arm + (points[np.arange(len(points)), arm] > 0)  # [P] 0..5: one of the jack's arms
        slices = 8 * part + np.digitize(np.linalg.norm(points, axis=1), [0.4, 0.6, 0.8])  # [P]
        self.labels = np.stack([slices, part, arm])  # [3, P]
        self.seconds = {"look": 0.0, "predict": 0.0, "own": 0.0}  # own: of the answers that make sense
        self.counts = {"look": 0, "predict": 0, "pairs": 0}

    @property
    def views_at_once(self) -> int:
        return self.sam.views_at_once

    def look(self, view: RenderedView) -> Embedding:
        return self.look_many([view])[0]

    def look_many(self, views: Sequence[RenderedView]) -> list[Embedding]:
        began = self.clock.now()
        found = self.sam.look_many(views)
        self.seconds["look"] += self.clock.now() - began
        self.counts["look"] += len(views)
        return [replace(e, data=(e.data, self._shown(view))) for e, view in zip(found, views, strict=True)]

    def _shown(self, view: RenderedView) -> np.ndarray:
        """Label of each pixel at each scale, -1 where nothing is. [3, H, W]"""
        raster = view.raster
        corner = np.take_along_axis(self.faces[raster.face_id], raster.barycentrics.argmax(axis=2)[..., None], axis=2)[
            ..., 0
        ]  # [H, W]
        return np.where(raster.face_id >= 0, self.labels[:, corner], -1)

    def predict(self, embedding: Embedding, points: np.ndarray, labels: np.ndarray, prior: Any = None) -> Prediction:
        encoded, shown = embedding.data
        began = self.clock.now()
        answer = self.sam.predict(replace(embedding, data=encoded), points, labels, prior)
        self.seconds["predict"] += self.clock.now() - began
        self.counts["predict"] += len(points)
        self.counts["pairs"] += len(points) if points.shape[1] > 1 else 0
        began = self.clock.now()
        masks = self._masks(shown, points, labels)  # [3, Q, H, W]
        self.seconds["own"] += self.clock.now() - began
        scores = np.full((len(points), len(Granularity)), 0.9, dtype=np.float32)  # [Q, 3]
        return Prediction(np.ascontiguousarray(masks.transpose(1, 0, 2, 3)), scores, answer.logits)

    @staticmethod
    def _masks(shown: np.ndarray, points: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Masks [3, Q, H, W] of the part of the first click, with or without the slice of each further one."""
        column, row = points.astype(np.int64).transpose(2, 0, 1)  # [Q, N] each
        clicked = shown[:, row, column]  # [3, Q, N]
        masks = shown[:, None] == clicked[:, :, 0, None, None]  # [3, Q, H, W]
        for n in range(1, points.shape[1]):
            own = shown[0][None] == clicked[0, :, n, None, None]  # [Q, H, W]
            add = (labels[:, n] == 1)[None, :, None, None]
            masks = np.where(add, masks | own, masks & ~own)  # [3, Q, H, W]
        return masks
