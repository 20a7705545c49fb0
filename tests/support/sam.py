"""Small models of the official Segment Anything classes with random weights, for tests without a download.

Only the test environment needs `import_segment_anything`: on a CPU build of torch the torchvision of PyPI does not find
the operators it was compiled for, and declaring their names is enough for what segment_anything imports of it.
"""

import sys

import pytest
import torch


def import_segment_anything():
    """The official package, or a skip that says what is missing."""
    for schema in ("nms", "qnms", None):
        try:
            import torchvision  # noqa: F401

            break
        except RuntimeError as error:
            if schema is None or f"torchvision::{schema}" not in str(error):
                raise
            for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
                del sys.modules[name]  # what the failed import left behind
            arguments = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            torch.library.define(f"torchvision::{schema}", arguments)
        except ImportError:
            break  # the next line says it
    return pytest.importorskip("segment_anything", reason="the packages of the extra `sam` are not installed")


def tiny_sam(seed=0, image_size=128, embed=32):
    """A Sam with 8 x 8 features of 32 channels, windows that need padding, and every parameter random."""
    import_segment_anything()
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    torch.manual_seed(seed)
    grid = image_size // 16
    sam = Sam(
        image_encoder=ImageEncoderViT(
            img_size=image_size,
            embed_dim=48,
            depth=2,
            num_heads=2,
            out_chans=embed,
            use_rel_pos=True,
            window_size=3,
            global_attn_indexes=(1,),
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=embed,
            image_embedding_size=(grid, grid),
            input_image_size=(image_size, image_size),
            mask_in_chans=16,
        ),
        mask_decoder=MaskDecoder(
            transformer_dim=embed,
            transformer=TwoWayTransformer(depth=2, embedding_dim=embed, num_heads=4, mlp_dim=64),
            iou_head_hidden_dim=embed,
        ),
    )
    for name, parameter in sam.named_parameters():
        if "pos" in name:  # these start at zero, and zeros would hide mistakes
            torch.nn.init.normal_(parameter, std=0.5)
    return sam.eval()
