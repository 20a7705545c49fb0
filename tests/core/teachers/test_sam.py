"""The SAM teacher on small models of the official classes with random weights, compared with the official code."""

import copy
import dataclasses
import hashlib
import os
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.sam import import_segment_anything, tiny_sam

from iseg_core.errors import IsegError, SettingsError, WeightsError
from iseg_core.system.device import pick_device
from iseg_core.teachers import weights
from iseg_core.teachers.registry import TEACHERS, TeacherEntry, WeightsFile
from iseg_core.teachers.sam import PIXEL_MEAN, PIXEL_STD, VIEW_RESOLUTION, SamTeacher
from iseg_core.teachers.sam_attention import FusedAttention, fuse_attention
from iseg_core.teachers.teacher import Embedding, RenderedView

segment_anything = import_segment_anything()


def picture(seed=0, side=VIEW_RESOLUTION):
    """A view of coloured blocks; what the camera and the raster are does not matter to SAM."""
    blocks = np.random.default_rng(seed).integers(0, 256, (7, 7, 3), dtype=np.uint8)  # [7, 7, 3]
    image = np.kron(blocks, np.ones((side // 7, side // 7, 1), dtype=np.uint8))  # [H, W, 3]
    return RenderedView(cast(Any, None), cast(Any, None), image)


@pytest.fixture(scope="module", autouse=True)
def float32_on_the_processor():
    """Whatever this processor is good at: float32 can be compared with the official code to 1e-4."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("iseg_core.teachers.sam.has_fast_bf16", lambda device: device.type == "cuda")
        yield


@pytest.fixture(scope="module")
def teacher():
    return SamTeacher(tiny_sam(), "sam_tiny", "no file", "cpu")


@pytest.fixture(scope="module")
def embedding(teacher):
    return teacher.look(picture())


def prompts(seed, sets, count):
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, VIEW_RESOLUTION, (sets, count, 2)).astype(np.float32)  # [Q, N, 2]
    labels = rng.integers(0, 2, (sets, count)).astype(np.int8)  # [Q, N]
    labels[:, 0] = 1
    return points, labels


def official_answer(predictor, points, labels, prior=None):
    """SamPredictor's answer to one prompt set, its three masks by area. Its pixel centres lie at whole numbers."""
    enlarged = predictor.model.image_encoder.img_size / VIEW_RESOLUTION
    masks, scores, logits = predictor.predict(
        points - 0.5 / enlarged, labels, mask_input=None if prior is None else prior[None], multimask_output=True
    )
    order = np.argsort(masks.sum(axis=(1, 2)), kind="stable")  # [3]
    return masks[order], scores[order].clip(0, 1), logits[order]


@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 7), st.integers(1, 7)),
    heads=st.integers(1, 3),
    channels=st.integers(1, 9),
    relative=st.booleans(),
    seed=st.integers(0, 1000),
)
@settings(max_examples=50, deadline=None)
def test_fused_attention_equals_the_official_one(shape, heads, channels, relative, seed):
    from segment_anything.modeling.image_encoder import Attention

    torch.manual_seed(seed)
    b, h, w = shape
    official = Attention(heads * channels, heads, use_rel_pos=relative, input_size=(h, w)).requires_grad_(False)
    for table in (official.rel_pos_h, official.rel_pos_w) if relative else ():
        table.normal_()
    x = torch.randn(b, h, w, heads * channels)  # [B, H, W, C]
    torch.testing.assert_close(FusedAttention(official)(x), official(x), atol=1e-4, rtol=1e-4)


def test_fused_encoder_equals_the_official_one():
    official = tiny_sam().image_encoder.requires_grad_(False)
    fused = copy.deepcopy(official)
    fuse_attention(fused)
    x = torch.randn(2, 3, 128, 128)  # [B, 3, H, W]
    torch.testing.assert_close(fused(x), official(x), atol=1e-4, rtol=1e-4)


def test_the_official_predictor_gives_the_same(teacher):
    predictor = segment_anything.SamPredictor(tiny_sam())
    view = picture(1)
    predictor.set_image(view.image)
    embedding = teacher.look(view)
    assert embedding.features.shape == (teacher.feature_dim, 8, 8) and embedding.features.dtype == np.float32
    np.testing.assert_allclose(embedding.features, predictor.get_image_embedding()[0].numpy(), atol=1e-4)

    for count in (1, 2, 5):
        points, labels = prompts(count, 6, count)
        first = teacher.predict(embedding, points, labels)
        assert first.logits is not None
        second = teacher.predict(embedding, points, labels, prior=first.logits[:, 1])
        assert second.logits is not None
        for q in range(6):
            prior = None
            for ours in (first, second):
                masks, scores, logits = official_answer(predictor, points[q], labels[q], prior)
                np.testing.assert_allclose(ours.logits[q], logits, atol=1e-4)
                np.testing.assert_allclose(ours.scores[q], scores, atol=1e-4)
                assert (ours.masks[q] == masks).mean() > 0.9999  # a logit of 1e-6 may fall on either side of 0
                prior = logits[1]
        assert 0.02 < first.masks.mean() < 0.98 and (first.logits != second.logits).any()


def test_shapes_and_scales(teacher, embedding):
    found = teacher.predict(embedding, *prompts(0, 9, 2))
    side = VIEW_RESOLUTION
    assert found.masks.shape == (9, 3, side, side) and found.masks.dtype == bool
    assert found.scores.shape == (9, 3) and found.scores.dtype == np.float32
    assert found.logits.shape == (9, 3, 32, 32) and found.logits.dtype == np.float32
    assert ((found.scores >= 0) & (found.scores <= 1)).all()
    areas = found.masks.sum(axis=(2, 3))  # [Q, 3]
    assert (np.diff(areas, axis=1) >= 0).all() and (np.diff(areas, axis=1) > 0).any()
    # masks and logits were put into the same order
    enlarged = teacher._sam.postprocess_masks(torch.from_numpy(found.logits), (128, 128), (side, side))  # [Q, 3, H, W]
    np.testing.assert_array_equal(found.masks, enlarged.numpy() > 0)


@given(
    counts=st.lists(st.integers(1, 4), min_size=1, max_size=6),
    padding=st.integers(0, 3),
    seed=st.integers(0, 1000),
    with_prior=st.booleans(),
)
@settings(max_examples=15, deadline=None)
def test_padding_and_company_change_nothing(teacher, embedding, counts, padding, seed, with_prior):
    rng = np.random.default_rng(seed)
    sets, width = len(counts), max(counts) + padding
    points = np.full((sets, width, 2), np.nan, dtype=np.float32)  # [Q, N, 2] padding must not even be looked at
    labels = np.full((sets, width), -1, dtype=np.int8)  # [Q, N]
    prior = rng.normal(size=(sets, 32, 32)).astype(np.float32) if with_prior else None  # [Q, h, w]
    alone = []
    for q, count in enumerate(counts):
        own_points, own_labels = prompts(seed + q, 1, count)
        where = np.sort(rng.permutation(width)[:count])  # [n] padding may lie anywhere
        points[q, where], labels[q, where] = own_points[0], own_labels[0]
        alone.append(teacher.predict(embedding, own_points, own_labels, None if prior is None else prior[q : q + 1]))
    together = teacher.predict(embedding, points, labels, prior)
    for q in range(sets):
        np.testing.assert_allclose(together.scores[q], alone[q].scores[0], atol=1e-4)
        assert (together.masks[q] == alone[q].masks[0]).mean() > 0.9999


def test_no_prompt_sets(teacher, embedding):
    found = teacher.predict(embedding, np.zeros((0, 1, 2), np.float32), np.zeros((0, 1), np.int8))
    assert found.masks.shape == (0, 3, VIEW_RESOLUTION, VIEW_RESOLUTION) and found.scores.shape == (0, 3)


def test_many_views_at_once(teacher):
    views = [picture(i) for i in range(3)]
    teacher._views.size = 2
    for view, embedding in zip(views, teacher.look_many(views), strict=True):
        np.testing.assert_allclose(embedding.features, teacher.look(view).features, atol=1e-4)
    teacher._views.size = 1
    assert teacher.look_many([]) == []


def test_wrong_shapes_are_refused(teacher, embedding):
    points, labels = prompts(0, 2, 2)
    with pytest.raises(ValueError, match="do not belong together"):
        teacher.predict(embedding, points, labels[:, :1])
    with pytest.raises(ValueError, match="prior"):
        teacher.predict(embedding, points, labels, np.zeros((2, 8, 8), np.float32))
    view = dataclasses.replace(picture(), image=np.zeros((10, 20, 3), np.uint8))
    with pytest.raises(ValueError, match="square"):
        teacher.look(view)


def fail_above(module, limit, error, seen):
    """Let a module's forward raise where its batch is larger than `limit`; note the batches that went through."""
    forward = module.forward

    def guarded(*inputs, **keywords):
        size = len(inputs[0]) if inputs else len(keywords["sparse_prompt_embeddings"])
        if size > limit:
            raise error
        seen.append(size)
        return forward(*inputs, **keywords)

    module.forward = guarded


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUBLAS_STATUS_ALLOC_FAILED"),
    ],
    ids=["cuda", "cpu", "cublas"],
)
def test_out_of_memory_halves_the_batch(teacher, embedding, error):
    sam, encoded, decoded = tiny_sam(), [], []
    fail_above(sam.image_encoder, 2, error, encoded)
    fail_above(sam.mask_decoder, 3, error, decoded)
    tight = SamTeacher(sam, "sam_tiny", "no file", "cpu")
    tight._views.size = tight._prompts.size = 8

    views = [picture(i) for i in range(7)]
    for found, view in zip(tight.look_many(views), views, strict=True):
        np.testing.assert_allclose(found.features, teacher.look(view).features, atol=1e-4)
    assert encoded == [1] * 7 and tight._views.size == 1  # 7, 3, 1

    points, labels = prompts(0, 14, 2)
    found, expected = tight.predict(embedding, points, labels), teacher.predict(embedding, points, labels)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    assert (found.masks == expected.masks).mean() > 0.9999
    assert decoded == [2] * 7 and tight._prompts.size == 2  # 8, 4, 2
    tight.predict(embedding, points, labels)
    assert decoded == [2] * 14  # it remembers


def test_out_of_memory_with_a_single_one_says_what_to_do():
    sam = tiny_sam()
    fail_above(sam.image_encoder, 0, torch.OutOfMemoryError("CUDA out of memory"), [])
    with pytest.raises(IsegError, match="sam_vit_b.*--device cpu"):
        SamTeacher(sam, "sam_tiny", "no file", "cpu").look(picture())


def test_other_errors_pass(teacher, embedding):
    sam = tiny_sam()
    fail_above(sam.mask_decoder, 0, RuntimeError("something else"), [])
    with pytest.raises(RuntimeError, match="something else"):
        SamTeacher(sam, "sam_tiny", "no file", "cpu").predict(embedding, *prompts(0, 2, 1))


def bf16_teacher():
    """What a GPU, or a processor that is good at it, does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("iseg_core.teachers.sam.has_fast_bf16", lambda device: True)
        return SamTeacher(tiny_sam(), "sam_tiny", "no file", "cpu")


def test_bf16_stays_close(teacher, embedding):
    half = bf16_teacher()
    seen = half.look(picture())
    assert seen.features.dtype == np.float32
    assert np.abs(seen.features - embedding.features).max() < 0.05 * np.abs(embedding.features).max()
    points, labels = prompts(0, 12, 1)
    found, expected = half.predict(seen, points, labels), teacher.predict(embedding, points, labels)
    both = (found.masks & expected.masks).sum(axis=(2, 3))  # [Q, 3]
    either = (found.masks | expected.masks).sum(axis=(2, 3))  # [Q, 3]
    assert np.median(both / np.maximum(either, 1)) > 0.95


def test_bf16_weights_are_what_autocast_makes_of_them(teacher):
    x = torch.randn(1, 3, 128, 128)  # [B, 3, H, W]
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(bf16_teacher()._sam.image_encoder(x), teacher._sam.image_encoder(x))


def test_bf16_does_not_blur_the_clicks(teacher, embedding):
    half, tokens = bf16_teacher(), {}
    for name, model in (("half", half), ("full", teacher)):
        hook = model._sam.prompt_encoder.register_forward_hook(lambda _, __, out, name=name: tokens.update({name: out}))
        model.predict(embedding, *prompts(0, 4, 3))
        hook.remove()
    for half_tokens, full_tokens in zip(tokens["half"], tokens["full"], strict=True):
        assert torch.equal(half_tokens, full_tokens)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_stays_close(teacher, embedding):
    cuda = SamTeacher(tiny_sam(), "sam_tiny", "no file", "cuda")
    seen = cuda.look(picture())
    assert np.abs(seen.features - embedding.features).max() < 0.05 * np.abs(embedding.features).max()
    found = cuda.predict(seen, *prompts(0, 12, 2))
    expected = teacher.predict(embedding, *prompts(0, 12, 2))
    assert (found.masks == expected.masks).mean() > 0.95


@pytest.mark.parametrize("name", ["sam_vit_b", "sam_vit_l", "sam_vit_h"])
def test_official_architectures_fit_the_official_files(name):
    official = TEACHERS[name].weights
    assert official is not None
    with torch.device("meta"):
        sam = segment_anything.sam_model_registry[official.architecture]()
    state = sam.state_dict()
    # A file holds the tensors as float32 and little else: names, shapes and padding, some hundred bytes a tensor.
    tensors = sum(4 * tensor.numel() for tensor in state.values())
    assert 0 < official.bytes - tensors < 500 * len(state)
    depth = len(sam.image_encoder.blocks)
    for key in ("attn.qkv.weight", "attn.rel_pos_h", "attn.rel_pos_w", "mlp.lin1.weight", "norm2.bias"):
        assert f"image_encoder.blocks.{depth - 1}.{key}" in state
    assert "mask_decoder.iou_token.weight" in state and "prompt_encoder.no_mask_embed.weight" in state
    assert not {"pixel_mean", "pixel_std"} & set(state)  # which is why the loader sets them
    assert sam.prompt_encoder.embed_dim == 256 and sam.prompt_encoder.mask_input_size == (256, 256)
    for block in sam.image_encoder.blocks:
        FusedAttention(block.attn)  # takes exactly the official parts


@pytest.fixture
def official_file(tmp_path, monkeypatch):
    """Makes a file the official one of an architecture `tiny`, in a cache of our own; returns the function for that."""
    monkeypatch.setenv("ISEG_CACHE", str(tmp_path))
    monkeypatch.setitem(segment_anything.sam_model_registry, "tiny", tiny_sam)

    def make(state):
        path = weights.weights_folder() / "tiny.pth"
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        file = WeightsFile(f"https://h.example/{path.name}", path.stat().st_size, digest, "Tiny", "none", "tiny")
        monkeypatch.setitem(TEACHERS, "sam_tiny", TeacherEntry("sam_tiny", "", "", ".sam:make", weights=file))
        return path

    return make


def test_from_weights(official_file):
    trained = tiny_sam(seed=5)
    path = official_file(trained.state_dict())
    expected = SamTeacher(trained, "sam_tiny", "no file", "cpu").look(picture())
    for given_as in ("sam_tiny", path, str(path)):
        teacher = SamTeacher.from_weights(given_as, "cpu")
        assert teacher.name == "sam_tiny" and teacher.fingerprint == hashlib.sha256(path.read_bytes()).hexdigest()
        np.testing.assert_array_equal(teacher.look(picture()).features, expected.features)
    assert not any(p.requires_grad for p in teacher._sam.parameters())


def test_constants_that_the_file_does_not_hold():
    sam = tiny_sam()
    for official, ours in ((sam.pixel_mean, PIXEL_MEAN), (sam.pixel_std, PIXEL_STD)):
        torch.testing.assert_close(official, torch.tensor(ours)[:, None, None])


def test_without_weights(official_file):
    with pytest.raises(WeightsError) as error:
        SamTeacher.from_weights("sam_vit_b", "cpu")
    for words in ("python -m iseg_core fetch sam_vit_b", "375 MB", "--teacher geometric"):
        assert words in str(error.value)


def test_an_edited_file_is_not_opened(official_file, monkeypatch):
    path = official_file(tiny_sam().state_dict())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("a file with a wrong hash was opened"))
    for given_as in ("sam_tiny", path):
        with pytest.raises(WeightsError, match="not opened"):
            SamTeacher.from_weights(given_as, "cpu")


class Program:
    """What a hostile pickle holds."""

    def __reduce__(self):
        return os.mkdir, ("ran",)


def test_even_a_right_hash_runs_no_program(official_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    official_file({"image_encoder.pos_embed": Program()})
    with pytest.raises(WeightsError, match="does not hold the tensors"):
        SamTeacher.from_weights("sam_tiny", "cpu")
    assert not (tmp_path / "ran").exists()


def test_tensors_of_another_model(official_file):
    state = tiny_sam().state_dict()
    state.pop("image_encoder.pos_embed")
    official_file(state)
    with pytest.raises(WeightsError, match="pos_embed"):
        SamTeacher.from_weights("sam_tiny", "cpu")


@pytest.mark.parametrize("missing", ["segment_anything", "torchvision"])
def test_missing_package(monkeypatch, missing):
    for name in [name for name in sys.modules if name.split(".")[0] in ("segment_anything", missing)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setattr(
        "iseg_core.teachers.sam.locate", lambda *asked: (TEACHERS["sam_vit_b"], Path())
    )  # the weights are there
    with pytest.raises(SettingsError, match=r"pip install iseg-core\[sam\]"):
        SamTeacher.from_weights("sam_vit_b", "cpu")


def test_torchvision_of_another_torch(monkeypatch):
    class Broken:
        def find_spec(self, name, path=None, target=None):
            if name == "segment_anything":
                raise RuntimeError("operator torchvision::nms does not exist")

    for name in [name for name in sys.modules if name.split(".")[0] == "segment_anything"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    monkeypatch.setattr("iseg_core.teachers.sam.locate", lambda *asked: (TEACHERS["sam_vit_b"], Path()))
    with pytest.raises(SettingsError, match="does not fit torch"):
        SamTeacher.from_weights("sam_vit_b", "cpu")


def test_devices():
    assert pick_device("auto").type in ("cuda", "mps", "cpu")
    assert pick_device("cpu") == pick_device(torch.device("cpu")) == torch.device("cpu")
    with pytest.raises(SettingsError, match="auto, cpu, cuda"):
        pick_device("quantum")
    for absent in ("cuda:99", "xpu"):
        with pytest.raises(SettingsError, match="--device auto"):
            pick_device(absent)
    with pytest.raises(SettingsError):
        SamTeacher.from_weights("sam_vit_b", "quantum")


def test_embedding_holds_what_predict_needs(embedding):
    assert isinstance(embedding, Embedding) and embedding.data.image.shape == (1, 32, 8, 8)
    assert embedding.data.resolution == VIEW_RESOLUTION


def test_bf16_is_chosen_where_it_is_fast():
    plain = SamTeacher(tiny_sam(), "sam_tiny", "no file", "cpu")
    for teacher, kind in ((bf16_teacher(), torch.bfloat16), (plain, torch.float32)):
        weights = dict(teacher._sam.image_encoder.named_parameters())
        assert teacher._bf16 == (kind == torch.bfloat16) and weights["blocks.0.mlp.lin1.weight"].dtype == kind


def test_logits_come_back_as_a_tensor_too(teacher, embedding):
    """On a GPU they stay there."""
    points, labels = prompts(0, 3, 1)
    first = teacher.predict(embedding, points, labels)
    given = [first.logits[:, 1], torch.from_numpy(first.logits)[np.arange(3), np.ones(3, dtype=np.int64)]]
    one, two = (teacher.predict(embedding, points, labels, prior) for prior in given)
    np.testing.assert_array_equal(one.logits, two.logits)
