"""Segment Anything (Kirillov et al. 2023) as a teacher: the official implementation with its official weights.

`look` is the model's image encoder, `predict` its prompt encoder and mask decoder (paper, sections 3.1 and 3.3; its
settings: section 4). The encoder's attention is computed by a fused kernel, nothing else of the model is changed.
"""

# pyright: reportMissingTypeStubs=false

import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from ..clicks.click import Granularity
from ..errors import IsegError, SettingsError, WeightsError, is_out_of_memory
from ..progress import ProgressCallback
from ..system.device import has_fast_bf16, pick_device
from .registry import DEFAULT_TEACHER, TeacherEntry
from .sam_attention import fuse_attention, store_bf16
from .teacher import BatchTeacher, Embedding, Prediction, RenderedView, Teacher
from .weights import locate

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

    from ..storage.trained_model import Model

VIEW_RESOLUTION = 224  # side of the views, in pixels (paper, section 4); SAM enlarges them to 1024
PIXEL_MEAN, PIXEL_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # of ImageNet; not in the weights file
VIEWS_AT_ONCE = {"cuda": 8}  # encoded in one batch, elsewhere 1 to spare memory; not tuned on a GPU yet
PROMPTS_AT_ONCE = {"cuda": 64}  # decoded in one batch, elsewhere 8; likewise


def make(entry: TeacherEntry, weights: Path | None, model: "Model", device: str) -> Teacher:
    """Make the teacher of an entry: one for all meshes."""
    assert weights is not None  # the entry names a file
    return SamTeacher.from_file(entry, weights, device)


class Encoded(NamedTuple):
    """Image embedding of a view, as `predict` needs it: Embedding.data."""

    image: Tensor  # [1, d, h, w] float32, on the model's device
    resolution: int  # side of the view, in pixels


class SamTeacher(BatchTeacher):
    """Segment Anything as a Teacher. The encoder runs once a view, the decoder once a prompt set.

    bf16 autocast where the GPU or the processor has it (the prompt encoder stays in float32: bf16 cannot tell
    neighbouring pixels apart); elsewhere float32. Out of memory halves the batch and goes on.
    """

    def __init__(self, sam: "Sam", name: str, fingerprint: str, device: str | torch.device = "auto"):
        """sam: a segment_anything.modeling.Sam, taken over and changed in place. device: auto | cpu | cuda | mps.

        Raises SettingsError where the device is not there.
        """
        from segment_anything.utils.transforms import ResizeLongestSide

        self.name, self.fingerprint = name, fingerprint
        self.device = pick_device(device)
        self.resolution = VIEW_RESOLUTION
        self.feature_dim = int(sam.prompt_encoder.embed_dim)
        self._sam = sam.eval().requires_grad_(False).to(self.device)
        fuse_attention(sam.image_encoder)
        self._bf16 = has_fast_bf16(self.device)
        if self._bf16:
            store_bf16(sam.image_encoder)
        self._resize = ResizeLongestSide(sam.image_encoder.img_size)
        self._position = sam.prompt_encoder.get_dense_pe()  # [1, d, h, w]
        self._views = Batches(VIEWS_AT_ONCE.get(self.device.type, 1))
        self._prompts = Batches(PROMPTS_AT_ONCE.get(self.device.type, 8))

    @property
    def views_at_once(self) -> int:
        """Batch size of the encoder: smaller once a batch did not fit into memory."""
        return self._views.size

    @classmethod
    def from_weights(
        cls,
        name_or_path: str | Path,
        device: str | torch.device = "auto",
        progress: ProgressCallback | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> "SamTeacher":
        """Load official weights: sam_vit_b, sam_vit_l or sam_vit_h from the cache, or the path of such a file.

        progress, cancel: of the hash check, which takes some seconds the first time a file is seen.
        Raises SettingsError where packages or the device are missing, WeightsError where the weights are (locate).
        """
        pick_device(device)
        return cls.from_file(*locate(name_or_path, progress, cancel), device)

    @classmethod
    def from_file(cls, entry: TeacherEntry, path: Path, device: str | torch.device = "auto") -> "SamTeacher":
        """Load the weights of an entry from a file whose hash is right."""
        assert entry.weights is not None
        return cls(_load(_official_models(), entry, path), entry.name, entry.weights.sha256, device)

    def look(self, view: RenderedView) -> Embedding:
        """Encode one square view: features [256, 64, 64] for the official models."""
        return self.look_many([view])[0]

    @torch.inference_mode()
    def look_many(self, views: Sequence[RenderedView]) -> list[Embedding]:
        """Encode several square views, in batches where that is faster."""
        embeddings: list[Embedding] = []

        def encode(batch: slice) -> None:
            for view in views[batch]:
                if view.image.ndim != 3 or view.image.shape[0] != view.image.shape[1] or view.image.shape[2] != 3:
                    raise ValueError(f"A view must be a square RGB picture, and this one has shape {view.image.shape}.")
            with ThreadPoolExecutor(batch.stop - batch.start) as pool:  # else a GPU waits for the pictures
                pictures = np.stack(list(pool.map(self._resize.apply_image, [view.image for view in views[batch]])))
            # pictures [B, S, S, 3] uint8
            pixels = torch.as_tensor(pictures).to(self.device).permute(0, 3, 1, 2)  # [B, 3, S, S]
            with self._autocast():
                images = self._sam.image_encoder(self._sam.preprocess(pixels)).float()  # [B, d, h, w]
            features = images.cpu().numpy()  # [B, d, h, w]
            for view, image, feature in zip(views[batch], images, features, strict=True):
                embeddings.append(Embedding(feature, Encoded(image[None], len(view.image))))

        self._views(encode, len(views))
        return embeddings

    @torch.inference_mode()
    def predict(
        self,
        embedding: Embedding,
        points: np.ndarray,  # [Q, N, 2]
        labels: np.ndarray,  # [Q, N]
        prior: np.ndarray | Tensor | None = None,  # [Q, h, w], h = w = 256 for the official models
    ) -> Prediction:
        """Segment a view for Q prompt sets (see Teacher.predict). Padding changes nothing, nor do the other sets.

        The logits stay on the device, as a tensor where that is not the processor: few of them come back as a prior,
        and to move them all would take longer than to compute them.

        fine, part and whole are SAM's three masks by area, in every prompt set anew. Nothing in the model orders them:
        its training corrects only the best of the three, and its paper only says that three suffice for a whole, a part
        and a subpart. Users report this order, finest first, of the released weights; but the votes of one over
        many views need a rule that always holds: no mask is larger than that of the next.
        Equal areas keep SAM's order.
        """
        encoded: Encoded = embedding.data
        sets, side, kinds = len(points), encoded.resolution, len(Granularity)
        h, w = self._sam.prompt_encoder.mask_input_size
        if points.shape != (*labels.shape, 2):
            raise ValueError(f"points {points.shape} and labels {labels.shape} do not belong together.")
        if prior is not None and prior.shape != (sets, h, w):
            raise ValueError(f"The prior must have shape {(sets, h, w)}, not {prior.shape}.")
        masks = np.zeros((sets, kinds, side, side), dtype=bool)  # [Q, 3, H, W]
        scores = np.zeros((sets, kinds), dtype=np.float32)  # [Q, 3]
        logits = torch.zeros((sets, kinds, h, w), device=self.device)  # [Q, 3, h, w]

        # SAM attends to padding as to any other prompt, so sets of different length are asked apart, without it.
        clicks = (labels >= 0).sum(axis=1)  # [Q]
        front = np.argsort(labels < 0, axis=1, kind="stable")  # [Q, N] the clicks in their order, then the padding
        for count in np.unique(clicks):
            members = np.flatnonzero(clicks == count)  # [R]

            def decode(batch: slice, members: np.ndarray = members, count: int = int(count)) -> None:
                rows = members[batch]  # [B]
                kept = front[rows, :count]  # [B, n]
                found = self._decode(
                    encoded,
                    torch.as_tensor(np.take_along_axis(points[rows], kept[:, :, None], axis=1).astype(np.float32)),
                    torch.as_tensor(np.take_along_axis(labels[rows], kept, axis=1).astype(np.int32)),
                    None if prior is None else torch.as_tensor(prior)[rows].float(),
                )
                masks[rows], scores[rows] = (tensor.cpu().numpy() for tensor in found[:2])
                logits[rows] = found[2]

            self._prompts(decode, len(members))
        return Prediction(masks, scores, logits.numpy() if self.device.type == "cpu" else logits)

    def _decode(
        self, encoded: Encoded, points: Tensor, labels: Tensor, prior: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Decode one batch of prompt sets of equal length.

        points [B, n, 2], labels [B, n], prior [B, h, w] -> masks [B, 3, H, W], scores [B, 3], logits [B, 3, h, w]
        """
        sam, size = self._sam, self._sam.image_encoder.img_size
        # The official code takes the first pixel's centre for 0, and adds the half pixel in the enlarged picture.
        points = points.to(self.device) * (size / encoded.resolution) - 0.5  # [B, n, 2]
        sparse, dense = sam.prompt_encoder(
            points=(points, labels.to(self.device)),
            boxes=None,
            masks=None if prior is None else prior[:, None].to(self.device),
        )  # [B, n + 1, d], [B, d, h, w]
        with self._autocast():
            logits, scores = sam.mask_decoder(
                image_embeddings=encoded.image,
                image_pe=self._position,
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=True,
            )  # [B, 3, h, w], [B, 3]
        logits, scores = logits.float(), scores.float().clamp(0.0, 1.0)
        side = (encoded.resolution, encoded.resolution)
        masks = sam.postprocess_masks(logits, (size, size), side) > sam.mask_threshold  # [B, 3, H, W]
        order = masks.flatten(2).sum(dim=2).argsort(dim=1, stable=True)  # [B, 3] by area
        row = torch.arange(len(order), device=self.device)[:, None]  # [B, 1]
        return masks[row, order], scores[row, order], logits[row, order]

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self._bf16)


class Batches:
    """Run a function over a range in batches; a batch that does not fit into memory is halved, now and later."""

    def __init__(self, size: int):
        self.size = size

    def __call__(self, run: Callable[[slice], None], count: int) -> None:
        """Call run(slice) until 0..count is done. Raises IsegError where not even one at a time fits."""
        begin = 0
        while begin < count:
            end = min(begin + self.size, count)
            try:
                run(slice(begin, end))
                begin = end
                continue
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                if end - begin == 1:
                    raise IsegError(
                        "The device has too little memory for this 2D model, even for one picture and one prompt at a "
                        "time. Close other programs that use it, take a smaller model (--teacher sam_vit_b), or "
                        "compute on the processor (--device cpu)."
                    ) from error
            # Outside of the handler: there the traceback would still hold the tensors that did not fit.
            self.size = max((end - begin) // 2, 1)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            elif torch.backends.mps.is_available():
                torch.mps.empty_cache()


def _official_models() -> dict[str, Callable[[], "Sam"]]:
    """Import the official package: its constructors by architecture."""
    try:
        from segment_anything import sam_model_registry  # pyright: ignore[reportUnknownVariableType]
    except ImportError as error:
        raise SettingsError(
            f"The teacher sam needs the packages segment_anything and torchvision ({error}). "
            "`pip install iseg-core[sam]` brings them; "
            f"`--teacher {DEFAULT_TEACHER}` needs neither."
        ) from error
    except RuntimeError as error:  # torchvision's compiled part was made for another torch
        raise SettingsError(
            f"torchvision does not fit torch {torch.__version__} ({error}). Install both from one place: "
            "https://pytorch.org/get-started/locally names the command; "
            f"`--teacher {DEFAULT_TEACHER}` needs no torchvision."
        ) from error
    return cast("dict[str, Callable[[], Sam]]", sam_model_registry)


def _load(registry: dict[str, Callable[[], "Sam"]], entry: TeacherEntry, path: Path) -> "Sam":
    """Build the model with the tensors of a file whose hash is right."""
    assert entry.weights is not None
    with torch.device("meta"):  # no memory and no random numbers for parameters that are replaced at once
        sam = registry[entry.weights.architecture]()
    try:
        sam.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), assign=True)
    except (RuntimeError, pickle.UnpicklingError) as error:
        raise WeightsError(f"{path} does not hold the tensors of {entry.name}: {error}") from error
    sam.pixel_mean = torch.tensor(PIXEL_MEAN)[:, None, None]  # [3, 1, 1]
    sam.pixel_std = torch.tensor(PIXEL_STD)[:, None, None]  # [3, 1, 1]
    return sam
