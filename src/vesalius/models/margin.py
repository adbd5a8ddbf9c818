"""How far a model leans to yes, as a function of the picture: log P(yes) - log P(no) of the first word of an answer, with gradients.

In: a `Composed` model, a study, a question. Out: margins [B] of pictures on the scale of the display, 0 (black) to 1 (white).
The preparation's normalisation is measured, not assumed: a black and a white picture of the same shape are prepared, and what lies between them is the scale.
So eps = 1/255 is one grey level of the picture as the model receives it, whatever its mean and deviation; borders that a preparation adds are left alone.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor

from vesalius.domain.study import Image, Intensity, Study, Window, single
from vesalius.errors import InvalidValue
from vesalius.models.composed import Composed
from vesalius.models.looking import AnswerScore

_EDGE = 0.005  # a value that a border rings into by more belongs to the border
_AFFINE = 0.01  # largest deviation of middle grey from the middle: eight bits are rounded on the way


class Margin:
    """log P(yes) - log P(no), P over the first token of the answer, summed over the wordings of the model's template: its logit of P(yes).

    Args:
        model: whose composition sees pixels. question: in words.
    """

    def __init__(self, model: Composed, question: str) -> None:
        self.model = model
        words = model.prompt.template
        self._yes, self._no = ([_first(model, question, word) for word in _distinct(model, side)] for side in (words.yes, words.no))

    def __call__(self, pixels: Tensor) -> Tensor:
        """The tower's input [B, 3, S, S] -> margins [B] in float32; a gradient passes."""
        tower = self.model.composition.tower
        memory = self.model.composition.see(pixels.to(next(tower.parameters()).dtype))
        yes, no = (torch.stack([score(memory) for score in side]).float().logsumexp(0) for side in (self._yes, self._no))
        return yes - no


def margin(model: Composed, pixels: Tensor, question: str) -> Tensor:
    """Margins [B] of pictures as the tower's input [B, 3, S, S]; see `Margin`, which reads the question once for many calls."""
    return Margin(model, question)(pixels)


def _distinct(model: Composed, words: tuple[str, ...]) -> list[str]:
    """Wordings whose first tokens differ, as the engine counts them."""
    return list({model.prompt.answer(word)[:1]: word for word in words if model.prompt.answer(word)}.values())


def _first(model: Composed, question: str, word: str) -> AnswerScore:
    """How probable the first token of a word is as the answer's first."""
    nothing = torch.empty(0)  # the score needs its pixels only to hide parts of them
    score = model.score_of(question, word, nothing)
    score.ids, score.targets = score.ids[:, : score.asked], score.targets[:1]
    return score


@dataclasses.dataclass(frozen=True, eq=False)
class Scale:
    """Between a picture on the display's scale and the tower's input.

    Args:
        pixels: the clean input [1, 3, S, S]. black, white: of each colour [1, 3, 1, 1]. inside: [1, 1, S, S] True where the picture is, not a border.
        grey: whether the three colours change as one, because the picture has none.
    """

    pixels: Tensor
    black: Tensor
    white: Tensor
    inside: Tensor
    grey: bool

    @property
    def levels(self) -> list[float]:
        """What 1/255 of the display's range is in the tower's input, by colour."""
        return [float(v) / 255 for v in (self.white - self.black).flatten()]

    def shown(self) -> Tensor:
        """The clean picture [1, 1 or 3, S, S] from 0 to 1; borders are 0."""
        share = ((self.pixels - self.black) / (self.white - self.black)).clamp(0, 1) * self.inside
        return share.mean(1, keepdim=True) if self.grey else share

    def input(self, shown: Tensor) -> Tensor:
        """Pictures [B, 1 or 3, S, S] as the tower's input [B, 3, S, S]; a gradient passes."""
        return torch.where(self.inside, self.black + shown * (self.white - self.black), self.pixels)


def scale_of(model: Composed, study: Study) -> Scale:
    """How a model's preparation scales the picture of a study.

    Raises:
        InvalidValue: the model is not shown the picture, or its preparation is no scaling of grey levels.
    """
    image = study.image
    black, middle, white = (model.pixels(_flat(image, value)).float() for value in (0.0, 127.5, 255.0))
    pixels = model.pixels(study).float()
    y, x = (side // 2 for side in pixels.shape[-2:])  # the middle is never a border
    low, span = black[..., y, x][..., None, None], (white - black)[..., y, x][..., None, None]
    if not bool((span > 0).all()):
        raise InvalidValue("this model is not shown the picture's grey levels", remedy="attack a model that sees")
    inside = (((white - black) / span - 1).abs() < _EDGE).all(1, keepdim=True)
    off = (((middle - low) / span - 0.5).abs() * inside).amax()
    if float(off) > _AFFINE:
        raise InvalidValue(f"this model's preparation does not scale grey levels evenly (off by {float(off):.3f})", remedy="attack another model")
    return Scale(pixels, low, low + span, inside, not image.is_colour)


def _flat(image: Image, value: float) -> Study:
    pixels = np.full((1, image.rows, image.cols), value, np.float32)
    return single(Image(pixels, Intensity.RELATIVE, image.modality, image.body_part, voi=(Window(127.5, 255.0, "LINEAR_EXACT"),)))
