"""The modules of an image tower, swapped for ones that do the same faster on a CPU.

The weights are open_clip's and so is the mathematics; what changes is where time went besides
the matrix products. A weight is laid out for oneDNN once instead of at every call; biases,
residuals and the MLP's activation are computed within the product, before it is rounded to
bfloat16; and the last block computes the class token alone where nothing else of it is read. The
products are private operators of torch, so that `can_pack` asks whether they are there. They pay:
see the rows "not packed" of `python -m benchmarks.encoding`.
Only open_clip's own vision transformers are touched, and of them only what is known here.
"""

import torch
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import (
    CustomResidualAttentionBlock,
    QuickGELU,
    ResidualAttentionBlock,
    VisionTransformer,
)
from torch import Tensor, nn
from torch.nn import functional

# {activation: (oneDNN's name of f, c)}: the activation of x is f(c x) / c. QuickGELU is
# x sigmoid(1.702 x), oneDNN's swish x sigmoid(x).
ACTIVATIONS = {nn.GELU: ("gelu", 1.0), QuickGELU: ("swish", 1.702)}


def can_pack() -> bool:
    """Whether this build of torch has the products that packed weights need."""
    return torch.backends.mkldnn.is_available() and all(
        hasattr(torch.ops.mkldnn, name) for name in ("_linear_pointwise", "_reorder_linear_weight")
    )


def pack(tower: VisionTransformer | TimmModel | ModifiedResNet) -> None:
    """Swap the modules of an image tower, on the CPU in float32 or bfloat16, in place."""
    if type(tower) is not VisionTransformer:
        return
    blocks = tower.transformer.resblocks
    for i, block in enumerate(blocks):
        if _can_pack_block(block):
            last = i == len(blocks) - 1
            blocks[i] = PackedBlock(block, last and _reads_the_class_token_alone(tower))


class PackedLinear(nn.Module):
    """(..., i) -> (..., o): f(x W^T + b), or x W^T + b plus a residual; W is laid out once."""

    def __init__(self, weight: Tensor, bias: Tensor | None, f: str = "none") -> None:
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous())
        self.bias = None if bias is None else bias.detach().contiguous()
        self.f = f

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        if residual is None:
            return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, self.f, [], "none")
        return torch.ops.mkldnn._linear_pointwise.binary(x, residual, self.weight, self.bias, "add")


class PackedBlock(nn.Module):
    """(B, L, D) -> (B, L, D), or its first row (B, 1, D) alone: a residual attention block."""

    def __init__(self, block: ResidualAttentionBlock, class_token_alone: bool) -> None:
        super().__init__()
        attention = block.attn
        weight, bias, dim = attention.in_proj_weight, attention.in_proj_bias, attention.embed_dim
        self.heads, self.class_token_alone = attention.num_heads, class_token_alone
        if class_token_alone:
            self.query = PackedLinear(weight[:dim], bias[:dim])
            self.key_value = PackedLinear(weight[dim:], bias[dim:])
        else:
            self.query_key_value = PackedLinear(weight, bias)
        self.out = PackedLinear(attention.out_proj.weight, attention.out_proj.bias)
        # torch normalises bfloat16 faster by weights in float32.
        self.ln_1, self.ln_2 = block.ln_1.float(), block.ln_2.float()
        wide, narrow, (f, c) = block.mlp.c_fc, block.mlp.c_proj, ACTIVATIONS[type(block.mlp.gelu)]
        self.widen = PackedLinear(c * wide.weight, c * wide.bias, f)
        self.narrow = PackedLinear(narrow.weight / c, narrow.bias)

    def forward(self, x: Tensor, attn_mask: None = None) -> Tensor:
        normal = self.ln_1(x)
        if self.class_token_alone:
            x, first = x[:, :1].contiguous(), normal[:, :1].contiguous()
            (query,) = self._split(self.query(first), 1)
            key, value = self._split(self.key_value(normal), 2)
        else:
            query, key, value = self._split(self.query_key_value(normal), 3)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        x = self.out(mixed.transpose(1, 2).flatten(2), x)
        return self.narrow(self.widen(self.ln_2(x)), x)

    def _split(self, x: Tensor, parts: int) -> tuple[Tensor, ...]:
        """(B, L, parts * D) -> `parts` of (B, heads, L, D / heads)."""
        return x.view(*x.shape[:2], parts, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)


def _reads_the_class_token_alone(tower: VisionTransformer) -> bool:
    return tower.pool_type == "tok" and tower.attn_pool is None and not tower.output_tokens


def _can_pack_block(module: ResidualAttentionBlock | CustomResidualAttentionBlock) -> bool:
    """Whether a module is open_clip's plain block: self-attention, nothing scaled after it."""
    if type(module) is not ResidualAttentionBlock or hasattr(module, "ln_1_kv"):
        return False
    attention = module.attn
    return (
        type(module.ls_1) is nn.Identity
        and type(module.ls_2) is nn.Identity
        and type(attention) is nn.MultiheadAttention
        and attention.in_proj_bias is not None
        and attention.bias_k is None
        and not attention.add_zero_attn
        and attention.batch_first
        and type(module.mlp.gelu) in ACTIVATIONS
        and getattr(module.mlp.gelu, "approximate", "none") == "none"
    )
