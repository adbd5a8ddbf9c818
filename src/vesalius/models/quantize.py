"""Linear maps in fewer bits: int8 in plain torch on the CPU, int8 and int4 of published packages on a GPU; and how a loaded model is put in its place.

In: a module whose weights are filled in, perhaps mapped from a file; a device and how weights are to be held (`choose`). Out: the same module, there.
Weight-only: a weight is rounded to an integer times one scale for each output channel, and the product is computed in the model's own dtype, so inputs
are never rounded. Maps are packed one by one as they come from the file: a model of 7 billion parameters never stands in memory as float32.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from vesalius.errors import UserError, WeightsError
from vesalius.models import memory
from vesalius.models.decoder import default_dtype
from vesalius.models.memory import PRECISIONS
from vesalius.registry import missing_extra, unknown

LARGEST = 127  # of an int8 weight: -128 is not used, so that the range is symmetric
_READ = nn.modules.linear.NonDynamicallyQuantizableLinear  # `nn.MultiheadAttention` reads its weight and never calls it
SKIPPED = ("lm_head",)  # the vocabulary stays: often it is the embeddings' own matrix, and every logit passes through it
_BLOCK = 1 << 20  # weights widened at a time: 4 MB in float32 stay in the cache


@dataclasses.dataclass(frozen=True)
class Packed:
    """Linear maps in `bits` ("int8", "int4"), everything else and all computation in `dtype`."""

    bits: str
    dtype: torch.dtype

    def __str__(self) -> str:
        return self.bits


Held = torch.dtype | Packed  # how a loader holds weights


def find_device(name: str = "auto") -> str:
    """The device that is meant: "auto" takes a GPU when there is one.

    Raises:
        UserError: no such device, or it is not here.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"no device is called {name!r}", remedy="give auto, cpu, cuda or cuda:1") from error
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"the device {name!r} is not supported", remedy="give auto, cpu, cuda or cuda:1")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"{name} is not here: torch finds {torch.cuda.device_count()} GPUs", remedy="give --device cpu, or install a torch built for the GPU")
    return name


def choose(precision: str, device: str) -> Held | None:
    """What a loader is to be asked for; None ("auto") leaves it to the loader, which takes the fastest dtype that the device has and the model bears.

    Raises:
        UnknownName: no such precision. UserError: int4 without a GPU. MissingExtra: a GPU, and the package that packs for it is absent.
    """
    if precision not in PRECISIONS:
        raise unknown("precision", precision, list(PRECISIONS))
    if precision == "auto":
        return None
    if precision not in ("int8", "int4"):
        return cast(torch.dtype, getattr(torch, precision))
    if device.startswith("cuda"):
        _package(precision)
    elif precision == "int4":
        raise UserError("int4 needs a GPU", remedy="give --precision int8, which needs none")
    fastest = default_dtype(device)
    return Packed(precision, torch.float32 if fastest == torch.float16 else fastest)  # sums over integers leave float16's range


def afford(name: str, module: nn.Module, kind: Held, device: str) -> None:
    """Refuse a model that does not fit where it is to live, before it is loaded.

    Args:
        module: on the meta device, or with its weights still mapped.

    Raises:
        WeightsError: as `memory.require`.
    """
    total = sum(p.numel() for p in module.parameters())
    packed = sum(getattr(owner, name).weight.numel() for _, owner, name in _linears(module, SKIPPED))
    held = ("float32", "bfloat16", "int8", *(("int4",) if device.startswith("cuda") else ()))
    memory.require(name, total, str(kind).removeprefix("torch."), memory.room(device), wide=total - packed, held=held)


def place(module: nn.Module, device: str | torch.device, kind: Held) -> None:
    """Put a filled module onto its device, in the dtype or packed, ready to answer; in place.

    Raises:
        WeightsError: weights that are not finite cannot be packed. MissingExtra: the package that packs on a GPU is absent.
    """
    computed = kind.dtype if isinstance(kind, Packed) else kind
    if isinstance(kind, Packed):
        if torch.device(device).type == "cpu":
            to_int8(module)
        else:
            pack = _package(kind.bits)
            _replace(module, SKIPPED, lambda linear: pack(linear, device, computed))
    module.to(device=device, dtype=computed).eval()


def dtype_of(module: nn.Module) -> str:
    """How a placed module holds and computes: "float32", or "int8, computed in float32"."""
    computed = str(next(p.dtype for p in module.parameters() if p.is_floating_point())).removeprefix("torch.")
    for part in module.modules():
        if isinstance(part, Int8Linear) or type(getattr(part, "weight", None)).__name__ == "Int8Tensor":
            return f"int8, computed in {computed}"
        if type(part).__name__ == "Linear4bit":
            return f"int4, computed in {computed}"
    return computed


def placed(model: object) -> dict[str, str]:
    """What a model's identity says of its place: `device` and `dtype` ("float32", "int8, computed in float32"); nothing when it holds no module of torch."""
    engine = getattr(model, "engine", None)
    parts = [*vars(model).values(), *(vars(engine).values() if engine is not None else ())]
    module = next((part for part in parts if isinstance(part, nn.Module)), None)
    return {} if module is None else {"device": str(next(module.parameters()).device), "dtype": dtype_of(module)}


def to_int8(module: nn.Module, *, skip: Sequence[str] = SKIPPED) -> list[str]:
    """Replace the linear maps inside a module, in place and one by one, by maps in int8.

    Args:
        skip: dotted names, or pieces of them, of parts to leave ("lm_head", "lm.model.layers.0"). What reads its weights without calling them
            (`nn.MultiheadAttention`) is left too, as are embeddings, convolutions and norms.

    Returns:
        The dotted names of the parts replaced.

    Raises:
        WeightsError: a weight that is not finite.
    """
    return _replace(module, skip, Int8Linear.of)


def _replace(module: nn.Module, skip: Sequence[str], make: Callable[[nn.Linear], nn.Module]) -> list[str]:
    """Put something in the place of every map that may be packed; one that has several places stays one. An old map is let go before the next is made."""
    places: dict[int, list[tuple[nn.Module, str, str]]] = {}
    for path, owner, name in _linears(module, skip):
        places.setdefault(id(getattr(owner, name)), []).append((owner, name, path))
    for found in places.values():
        made = make(getattr(*found[0][:2]))
        for owner, name, _ in found:
            setattr(owner, name, made)
    return [found[0][2] for found in places.values()]


def _linears(module: nn.Module, skip: Sequence[str]) -> Iterator[tuple[str, nn.Module, str]]:
    """(dotted name, owner, name in it) of every map that may be packed."""
    for path, owner in module.named_modules(remove_duplicate=False):
        for name, part in owner.named_children():
            inside = f"{path}.{name}" if path else name
            if isinstance(part, nn.Linear) and not isinstance(part, _READ) and not any(f".{s}." in f".{inside}." for s in skip):
                yield inside, owner, name


class Int8Linear(nn.Module):
    """A linear map whose weight [outside, inside] is int8 times one float32 scale for each row; drop-in for `nn.Linear`, frozen.

    The product is taken of integers widened block by block, then scaled: exact where weights are integers times a scale. It follows gradients to its
    input. State: `weight` int8, `scale` float32, `bias` when there is one.

    Args:
        inside, outside: widths.
    """

    weight: Tensor
    scale: Tensor

    def __init__(self, inside: int, outside: int, *, bias: bool = True) -> None:
        super().__init__()
        self.in_features, self.out_features = inside, outside
        self.register_buffer("weight", torch.zeros(outside, inside, dtype=torch.int8))
        self.register_buffer("scale", torch.ones(outside, dtype=torch.float32))
        self.bias = nn.Parameter(torch.zeros(outside), requires_grad=False) if bias else None

    @classmethod
    def of(cls, linear: nn.Linear) -> Int8Linear:
        """The nearest map in int8; rows are read block by block, so a mapped weight is never held whole in float32.

        Raises:
            WeightsError: a weight that is not finite.
        """
        made = cls(linear.in_features, linear.out_features, bias=False).to(linear.weight.device)
        for block in _blocks(made.weight):
            rows = linear.weight.detach()[block].float()
            scale = rows.abs().amax(1) / LARGEST
            if not torch.isfinite(scale).all():
                raise WeightsError("a weight is not finite and cannot be held as int8", remedy="load it as float32, or fetch the checkpoint again")
            scale[scale == 0] = 1.0
            made.weight[block] = (rows / scale[:, None]).round().clamp(-LARGEST, LARGEST).to(torch.int8)
            made.scale[block] = scale
        made.bias = None if linear.bias is None else nn.Parameter(linear.bias.detach(), requires_grad=False)
        return made.train(linear.training)

    def forward(self, x: Tensor) -> Tensor:
        """[..., inside] -> [..., outside], in the dtype of x."""
        flat = x.reshape(-1, self.in_features)
        if flat.dtype == torch.float16:
            flat = flat.float()  # sums over integers up to 127 leave its range
        product: Callable[..., Tensor] = _Product.apply if torch.is_grad_enabled() and flat.requires_grad else _product
        out = product(flat, self.weight, self.scale)
        out = out if self.bias is None else out + self.bias
        return out.to(x.dtype).reshape(*x.shape[:-1], self.out_features)

    def extra_repr(self) -> str:
        """As `nn.Linear`."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Int8Linear:
        kept = self.scale
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.scale = kept.to(self.scale.device)  # moved, but never rounded with the rest of a model
        return self


def _blocks(weight: Tensor) -> Iterator[slice]:
    rows = max(1, _BLOCK // max(1, weight.shape[1]))
    return (slice(start, start + rows) for start in range(0, len(weight), rows))


def _product(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """Inputs [n, inside] times the weight, scaled -> [n, outside]; one block of rows is wide at a time."""
    if weight.numel() <= _BLOCK:
        return functional.linear(x, weight.to(x.dtype)).mul_(scale)
    # many blocks: each fills its own rows of the transposed product, in place
    across = x.new_empty(len(weight), len(x))
    wide = x.new_empty(max(1, _BLOCK // weight.shape[1]), weight.shape[1])
    for block in _blocks(weight):
        rows = weight[block]
        torch.mm(wide[: len(rows)].copy_(rows), x.T, out=across[block])
    return across.mul_(scale[:, None]).T.contiguous()


class _Product(torch.autograd.Function):
    """`_product` with the gradient to x: the weight is widened once more, and not kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:  # noqa: ANN401 - torch's
        ctx.save_for_backward(weight, scale)
        return _product(x, weight, scale)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401 - torch's
        weight, scale = ctx.saved_tensors
        scaled = (grads[0] * scale).to(grads[0].dtype)
        total = scaled.new_zeros(len(scaled), weight.shape[1])
        for block in _blocks(weight):
            total += scaled[:, block] @ weight[block].to(scaled.dtype)
        return total, None, None


Pack = Callable[[nn.Linear, "str | torch.device", torch.dtype], nn.Module]


def _package(bits: str) -> Pack:
    """What packs one linear map for a GPU.

    Raises:
        MissingExtra: its package is absent.
    """
    name = {"int8": "torchao", "int4": "bitsandbytes"}[bits]
    try:
        __import__(name)
    except ImportError as error:
        raise missing_extra(name, f"{bits} on a GPU") from error
    return {"int8": _torchao, "int4": _bitsandbytes}[bits]


def _torchao(linear: nn.Linear, device: str | torch.device, dtype: torch.dtype) -> nn.Module:
    """int8 for each output channel, weight-only: the same rounding as `Int8Linear`."""
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    moved = nn.Linear(linear.in_features, linear.out_features, bias=linear.bias is not None, device="meta")
    moved.weight = nn.Parameter(linear.weight.detach().to(device=device, dtype=dtype), requires_grad=False)
    if linear.bias is not None:
        moved.bias = nn.Parameter(linear.bias.detach().to(device=device, dtype=dtype), requires_grad=False)
    quantize_(moved, Int8WeightOnlyConfig(set_inductor_config=False))
    return moved


def _bitsandbytes(linear: nn.Linear, device: str | torch.device, dtype: torch.dtype) -> nn.Module:
    """NormalFloat4 (Dettmers et al. 2023, arXiv 2305.14314), weight-only, in blocks of 64 with packed scales."""
    from bitsandbytes.nn import Linear4bit, Params4bit

    made = Linear4bit(linear.in_features, linear.out_features, bias=linear.bias is not None, compute_dtype=dtype, quant_type="nf4", device="meta")
    made.weight = Params4bit(linear.weight.detach().to(dtype), requires_grad=False, quant_type="nf4")
    if linear.bias is not None:
        made.bias = nn.Parameter(linear.bias.detach().to(dtype), requires_grad=False)
    return cast(nn.Module, made.to(device))
