"""Attention: O = softmax(scale * Q K^T) V with scale = head_dim ** -0.5, and its gradients."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from harness import Axis, Cost, Params, Published, Workload
from implementations.attention._mask import Mask
from implementations.attention._reference import reference

if TYPE_CHECKING:
    from torch import Tensor

ITEM_BYTES = {"fp32": 4, "tf32": 4, "fp16": 2, "bf16": 2}
FORWARD, BACKWARD, BOTH = PASSES = ("forward", "backward", "forward_backward")
TOP_LEFT, BOTTOM_RIGHT = "top_left", "bottom_right"
# FlashAttention-3's inputs with outliers: N(0, 1), and N(0, 100) on top of one entry in a thousand (Shah 2024, 4.3).
OUTLIERS, OUTLIER_DEVIATION = 0.001, 10.0


@dataclass(frozen=True)
class Sizes:
    """What the values of the axes say: the sizes of the tensors, and which of them there are.

    Attributes:
        passes: forward, backward or forward_backward.
        item: bytes of one element of Q, K, V, O and the gradients.
    """

    passes: str
    batch: int
    heads: int
    kv_heads: int
    queries: int
    keys: int
    head_dim: int
    v_dim: int
    mask: Mask
    item: int

    @staticmethod
    def of(params: Params) -> Sizes:
        """Read the values of the axes, in which ``same`` and ``none`` stand for no number of their own."""
        heads, keys, head_dim = (int(params[axis]) for axis in ("heads", "seq", "head_dim"))
        kv_heads, queries, v_dim = (
            other if params[axis] == "same" else int(params[axis])
            for axis, other in (("kv_heads", heads), ("seq_q", keys), ("v_dim", head_dim))
        )
        offset = 0 if params["causal"] == TOP_LEFT else keys - queries
        window = 0 if params["window"] == "none" else int(params["window"])
        mask = Mask(queries, keys, bool(params["causal"]), offset, window)
        item = ITEM_BYTES[str(params["dtype"])]
        sizes = (heads, kv_heads, queries, keys, head_dim, v_dim)
        return Sizes(str(params["pass"]), int(params["batch"]), *sizes, mask, item)

    @property
    def rows(self) -> int:
        """Rows of Q and of O over all heads."""
        return self.batch * self.heads * self.queries

    @property
    def out(self) -> int:
        """Bytes of O, and of its gradient."""
        return self.rows * self.v_dim * self.item

    @property
    def lse(self) -> int:
        """Bytes of the log-sum-exp of each row of scores, in float32."""
        return 4 * self.rows

    @property
    def qkv(self) -> int:
        """Bytes of Q, K and V, and of their gradients."""
        of_kv = self.batch * self.kv_heads * self.keys * (self.head_dim + self.v_dim)
        return (self.rows * self.head_dim + of_kv) * self.item

    @property
    def scores(self) -> int:
        """How many scores there are."""
        return self.rows * self.keys


@dataclass(frozen=True)
class AttentionInputs:
    """One question.

    Attributes:
        q: queries, contiguous (batch, heads, queries, head_dim).
        k: keys, contiguous (batch, kv_heads, keys, head_dim); heads h * heads / kv_heads and on share key head h.
        v: values, contiguous (batch, kv_heads, keys, v_dim).
        mask: which keys a query sees; a query that sees none has an output of zero.
        passes: what a step returns. ``forward``: O (batch, heads, queries, v_dim), and after it, from who has it, the
            log-sum-exp of the scaled scores in float32 (batch, heads, queries). ``backward``: the gradients of Q, K
            and V, given that of O. ``forward_backward``: O, then the gradients.
        dtype: fp32 and tf32 both hold their tensors in float32, and differ in the products.
        grad: the gradient of O; None where only the forward pass is asked for.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    mask: Mask
    passes: str = FORWARD
    dtype: str = "fp32"
    grad: Tensor | None = None

    @property
    def causal(self) -> bool:
        """Whether a query sees no key after its own."""
        return self.mask.causal

    @property
    def scale(self) -> float:
        """The factor on the scores, head_dim ** -0.5."""
        return float(self.q.shape[-1] ** -0.5)


def make_inputs(params: Params, device: str, generator: torch.Generator) -> AttentionInputs:
    """Draw Q, K, V and the gradient of O from N(0, 1), or that with outliers, in float32, and round them."""
    sizes, name = Sizes.of(params), str(params["dtype"])
    dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(name, torch.float32)

    def draw(heads: int, length: int, features: int) -> Tensor:
        drawn = torch.randn(sizes.batch, heads, length, features, generator=generator)
        if params["inputs"] == "outlier":
            chosen = torch.rand(drawn.shape, generator=generator) < OUTLIERS
            drawn += OUTLIER_DEVIATION * torch.randn(drawn.shape, generator=generator) * chosen
        return drawn.to(dtype).to(device)

    q = draw(sizes.heads, sizes.queries, sizes.head_dim)
    k, v = (draw(sizes.kv_heads, sizes.keys, features) for features in (sizes.head_dim, sizes.v_dim))
    grad = None if sizes.passes == FORWARD else draw(sizes.heads, sizes.queries, sizes.v_dim)
    return AttentionInputs(q, k, v, sizes.mask, sizes.passes, name, grad)


def input_bytes(params: Params) -> int:
    """Return the size of Q, K and V, and of the gradient of O where there is one."""
    sizes = Sizes.of(params)
    return sizes.qkv + (0 if sizes.passes == FORWARD else sizes.out)


def output_bytes(params: Params) -> int:
    """Return the size of what a step returns: O, the gradients of Q, K and V, or all of them."""
    sizes = Sizes.of(params)
    return {FORWARD: sizes.out, BACKWARD: sizes.qkv, BOTH: sizes.out + sizes.qkv}[sizes.passes]


def cost(params: Params) -> Cost:
    """Count the products that each pair of a query and a key that it sees takes, and the least traffic of a pass.

    Operations are those of the model: two products forward, of 2 * head_dim and 2 * v_dim a pair, and four backward
    (dV, dP, dQ, dK), twice as many. What an implementation carries out is in its ``hardware_flops``: FlashAttention's
    papers count those, 2.5 times the forward pass for a backward pass that computes S once more. Pairs are counted
    exactly: half of seq ** 2 for a causal mask would be too few by 1 / seq.

    Bytes: forward reads Q, K, V and writes O. Backward reads Q, K, V, O, the gradient of O and the log-sum-exp, and
    writes three gradients; a forward pass for a backward one to come writes the log-sum-exp too.
    """
    sizes = Sizes.of(params)
    forward = 2 * sizes.batch * sizes.heads * sizes.mask.pairs * (sizes.head_dim + sizes.v_dim)
    flops = {FORWARD: forward, BACKWARD: 2 * forward, BOTH: 3 * forward}[sizes.passes]
    there, back = sizes.qkv + sizes.out, 2 * sizes.qkv + 2 * sizes.out + sizes.lse
    moved = {FORWARD: there, BACKWARD: back, BOTH: there + sizes.lse + back}[sizes.passes]
    return Cost(flops=flops, bytes=moved)


def settle(params: Params) -> Params:
    """Return the one way in which a question is written; two ways to write it are one case.

    Raises:
        ValueError: heads cannot share key heads evenly.
    """
    sizes = Sizes.of(params)
    if sizes.heads % sizes.kv_heads:
        raise ValueError(f"{sizes.heads} heads cannot share {sizes.kv_heads} key heads evenly")
    given = {"kv_heads": sizes.kv_heads, "seq_q": sizes.queries, "v_dim": sizes.v_dim}
    usual = {"kv_heads": sizes.heads, "seq_q": sizes.keys, "v_dim": sizes.head_dim}
    settled = {name: "same" if value == usual[name] else value for name, value in given.items()}
    mask = sizes.mask
    window = "none" if mask.pairs == replace(mask, window=0).pairs else mask.window
    return {**params, **settled, "window": window, "causal": _causal(mask)}


def _causal(mask: Mask) -> bool | str:
    """Write the mask's alignment where there are two, and no causal mask where it hides nothing, as in decoding."""
    at_end = mask.offset == mask.keys - mask.queries
    if not mask.causal or (at_end and mask.pairs == replace(mask, causal=False).pairs):
        return False
    return True if mask.queries == mask.keys else BOTTOM_RIGHT if at_end else TOP_LEFT


def _or(axis: Axis, word: str) -> Axis:
    """Let a word stand for no number of its own: the axis's default, which a case's name leaves out."""
    return replace(
        axis,
        parse=lambda text: word if text == word else axis.parse(text),
        default=word,
        hint=f"{axis.hint}|{word}",
        implied=True,
    )


def _parse_causal(text: str) -> bool | str:
    known: dict[str, bool | str] = {"true": True, "false": False, TOP_LEFT: TOP_LEFT, BOTTOM_RIGHT: BOTTOM_RIGHT}
    if text not in known:
        raise ValueError(f"expected one of {', '.join(known)}")
    return known[text]


workload = Workload(
    name="attention",
    help="Scaled dot-product attention, softmax(scale * Q K^T) V, and its gradients.",
    axes=(
        Axis.choice("pass", PASSES, FORWARD, "what a step computes: the output, the gradients, or both", implied=True),
        Axis.integer("seq", 4096, "number of keys, and of queries unless seq_q says otherwise"),
        _or(Axis.integer("seq_q", 1, "number of queries; 1 is decoding"), "same"),
        Axis.integer("batch", 1, "sequences in a batch"),
        Axis.integer("heads", 8, "attention heads"),
        _or(Axis.integer("kv_heads", 1, "heads of K and V, which several heads of Q share: GQA; 1 is MQA"), "same"),
        Axis.integer("head_dim", 64, "features per head of Q and K, and of V unless v_dim says otherwise"),
        _or(Axis.integer("v_dim", 1, "features per head of V and the output"), "same"),
        Axis(
            "causal",
            _parse_causal,
            "false",
            "let a query see no key after its own; true is bottom_right where seq_q is not seq",
            f"true|false|{TOP_LEFT}|{BOTTOM_RIGHT}",
        ),
        _or(Axis.integer("window", 1, "let a query see only keys that are less than this far away"), "none"),
        Axis.choice("dtype", tuple(ITEM_BYTES), "bf16", "dtype of all tensors; tf32 is fp32 in tf32 products"),
        Axis.choice(
            "inputs", ("normal", "outlier"), "normal", "N(0, 1), or that with N(0, 100) on 0.1 % of it", implied=True
        ),
    ),
    make_inputs=make_inputs,
    reference=reference,
    baseline="naive",
    cost=cost,
    input_bytes=input_bytes,
    settle=settle,
    published=(
        Published("up to 230 TFLOP/s", "FlashAttention-2 on A100 80GB SXM4, head_dim 64 and 128", "Dao 2023"),
        Published("up to 335 TFLOP/s", "FlashAttention-2 on H100, without its own instructions", "Dao 2023"),
        Published("up to 740 TFLOP/s", "FlashAttention-3 forward on H100 SXM5, fp16", "Shah et al. 2024"),
    ),
)
