"""Make the official image encoder of Segment Anything fast: fused attention, weights kept in bf16."""

# pyright: reportMissingTypeStubs=false

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def fuse_attention(encoder: Any) -> None:
    """Replace the attention of every block of a frozen official ImageEncoderViT."""
    for block in encoder.blocks:
        block.attn = FusedAttention(block.attn)


def store_bf16(encoder: nn.Module) -> None:
    """Keep in bf16 the weights that autocast would cast in every call; norms and positions stay in float32."""
    for module in encoder.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            module.to(torch.bfloat16)


class FusedAttention(nn.Module):
    """Attention of the image encoder as one fused kernel; its relative position embeddings are the kernel's bias.

    Equal to segment_anything.modeling.image_encoder.Attention, which builds the whole attention matrix several times.
    """

    def __init__(self, official: Any):
        """Takes over the parameters of a frozen official Attention."""
        from segment_anything.modeling.image_encoder import get_rel_pos

        super().__init__()
        self.qkv: nn.Linear = official.qkv
        self.proj: nn.Linear = official.proj
        self.heads: int = official.num_heads
        self.relative = bool(official.use_rel_pos)
        if self.relative:
            # Gathered once: the official code does it in every call, each time with a copy of indices to the device.
            h, w = ((len(table) + 1) // 2 for table in (official.rel_pos_h, official.rel_pos_w))
            self.register_buffer("rel_h", get_rel_pos(h, h, official.rel_pos_h).detach())  # [H, H, c]
            self.register_buffer("rel_w", get_rel_pos(w, w, official.rel_pos_w).detach())  # [W, W, c]

    def forward(self, x: Tensor) -> Tensor:
        """Attend over all positions of each image: [B, H, W, C] -> [B, H, W, C]"""
        b, h, w, _ = x.shape
        q, k, v = self.qkv(x).reshape(b, h * w, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # 3 x [B, heads, HW, c]
        bias = None
        if self.relative:
            grid = q.reshape(b, self.heads, h, w, -1)  # [B, heads, H, W, c]
            rows = torch.einsum("bnhwc,hkc->bnhwk", grid, self.rel_h)  # [B, heads, H, W, H]
            columns = torch.einsum("bnhwc,wkc->bnhwk", grid, self.rel_w)  # [B, heads, H, W, W]
            bias = (rows[..., :, None] + columns[..., None, :]).reshape(b, self.heads, h * w, h * w)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)  # [B, heads, HW, c]
        return self.proj(out.transpose(1, 2).reshape(b, h, w, -1))  # [B, H, W, C]
