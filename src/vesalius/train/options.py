"""What a recipe of `pocket` may state of its sources and of the model, beside what every recipe states.

In: tables of a recipe. Out: frozen options that cannot be wrong in themselves. No torch here: they are read before anything is computed.
"""

from __future__ import annotations

import dataclasses
import math

from vesalius.errors import ConfigError, nearest
from vesalius.instruct.phrasing import FAMILIES
from vesalius.instruct.pressure import PRESSURES


@dataclasses.dataclass(frozen=True)
class SourceOptions:
    """What a source of the curriculum may state.

    Args:
        rewordings: of each yes/no question of vqa-rad and slake. originals: whether the questions themselves are part of the source.
        wordings: numbers of `templates.finding_questions`, for nih-cxr. protocol: of the data set's split.
        families: of rewordings; what is not named is held out. pairs: whether human wordings of one question are compared too.
        pressures: that a yes/no question is put under as well, of `instruct.pressure`; what is not named is held out.
        path: of instructions: a file or folder that `vesalius instruct build` or `mix` wrote.
        rights: sets that may be trained on by the user's own word, against their card.
    """

    rewordings: int = 0
    originals: bool = True
    wordings: tuple[int, ...] = (0, 1, 2, 5, 7)
    protocol: str | None = None
    families: tuple[str, ...] = FAMILIES
    pairs: bool = False
    pressures: tuple[str, ...] = ()
    path: str = ""
    rights: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for kind, names, known in (("family of rewordings", self.families, FAMILIES), ("pressure", self.pressures, tuple(PRESSURES))):
            for name in names:
                if name not in known:
                    guess = nearest(name, known)
                    raise ConfigError(f"no {kind} is called {name!r}", remedy=f"did you mean {guess!r}?" if guess else f"known: {', '.join(known)}")


@dataclasses.dataclass(frozen=True)
class ModelOptions:
    """What the recipe may state of the model.

    Args:
        dropout: of the fusions. wordings: of one image in a batch.
        views: other views of each training image where the tower stands still; where it moves, each step shows a new one.
        blind: every image is one grey level, in training and ever after: what the questions alone teach.
        start: folder of weights to start from; "shipped" are those of the package, "" begins anew.
        together, borrow: as `batches.Collate`. precedents: whether a kernel machine speaks beside the fusions in the end.
        turned: whether it is told apart which way round a question is asked, so that a negation turns its margin.
    """

    dropout: float = 0.3
    wordings: int = 12
    views: int = 0
    blind: bool = False
    start: str = ""
    together: int = 0
    borrow: float = 0.0
    precedents: bool = True
    turned: bool = False

    def __post_init__(self) -> None:
        if self.together < 0:
            raise ConfigError(f"model_options: together = {self.together} is below 0", remedy="give 0 or more")
        if not (math.isfinite(self.borrow) and self.borrow >= 0):
            raise ConfigError(f"model_options: borrow = {self.borrow} is below 0", remedy="give 0 or more, as a share of an image's own groups")
