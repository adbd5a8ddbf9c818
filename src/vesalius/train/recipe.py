"""A training run on one page of TOML: which parts of the model move in which stage, how fast, on what, and when to stop.

In: a recipe file, and `--set` texts. Out: a frozen `Recipe` of `Stage`s that cannot be inconsistent.
No torch here: a recipe can be read, checked and shown on a machine that cannot train it.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vesalius import config
from vesalius.errors import ConfigError, InvalidValue, nearest

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


class Schedule(enum.StrEnum):
    """How the learning rate goes after the warmup."""

    COSINE = "cosine"
    CONSTANT = "constant"


@dataclasses.dataclass(frozen=True)
class Stage:
    """One stretch of training: the parts in `train` move, everything else is frozen.

    Args:
        name: lower case, digits, - and _: it names the folder of the stage's checkpoints.
        train: parts that move (`parts.select` says what a part is).
        learning_rate: the peak rate of every part that `learning_rates` does not name.
        learning_rates: peak rate by part.
        epochs, steps: the length; one is needed, with both the shorter counts. A step is one move of the optimiser.
        batch_size: items in a micro-batch. accumulate: micro-batches in a step.
        warmup: share of all steps, in [0, 1), over which the rate rises linearly from nearly nothing.
        schedule: what follows the warmup. floor: where the cosine ends, as a share of the peak.
        weight_decay: of AdamW, decoupled; only tensors of two or more dimensions decay.
        clip_norm: largest allowed Euclidean norm of the whole gradient; None does not clip.
        evaluate_every: steps between evaluations on the development split; None evaluates at the end of each epoch.
        checkpoint_every: steps between checkpoints.
        metric: the development metric that chooses the best weights. lower_is_better: its direction.
        keep_start: whether the weights that the stage starts from count as a candidate: it then ends no worse by the metric than it began.
        patience: evaluations in a row without improvement after which the stage stops; None never stops early.
        mixture: relative share of each data source; empty takes them as they are.
        loss: weight of each term of the loss; empty weighs every term 1.

    Raises:
        ConfigError: any value out of range, naming stage, key and value.
    """

    name: str
    train: tuple[str, ...]
    learning_rate: float
    learning_rates: Mapping[str, float] = dataclasses.field(default_factory=dict)
    epochs: float | None = None
    steps: int | None = None
    batch_size: int = 16
    accumulate: int = 1
    warmup: float = 0.03
    schedule: Schedule = Schedule.COSINE
    floor: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float | None = 1.0
    evaluate_every: int | None = None
    checkpoint_every: int = 100
    metric: str = "loss"
    lower_is_better: bool = True
    keep_start: bool = False
    patience: int | None = None
    mixture: Mapping[str, float] = dataclasses.field(default_factory=dict)
    loss: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_names()
        self._check_length()
        self._check_numbers()

    def _wrong(self, what: str, remedy: str) -> ConfigError:
        return ConfigError(f"stage {self.name!r}: {what}", remedy=remedy)

    def _check_names(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise self._wrong("the name cannot be a folder's", "use lower-case letters, digits, - and _")
        if not self.train:
            raise self._wrong("train is empty, so nothing would move", "name at least one part of the model")
        twice = sorted({p for p in self.train if self.train.count(p) > 1})
        if twice:
            raise self._wrong(f"train names {twice[0]!r} twice", "name it once")
        for part in self.learning_rates:
            if part not in self.train:
                raise self._wrong(f"learning_rates names {part!r}, which does not move", _hint(part, self.train, "name parts that train lists"))

    def _check_length(self) -> None:
        if self.epochs is None and self.steps is None:
            raise self._wrong("has no length", "give epochs or steps")
        if self.epochs is not None and not (math.isfinite(self.epochs) and self.epochs > 0):
            raise self._wrong(f"epochs = {self.epochs} is not above 0", "give a positive number")

    def _check_numbers(self) -> None:
        for key in ("steps", "batch_size", "accumulate", "evaluate_every", "checkpoint_every", "patience"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise self._wrong(f"{key} = {value} is below 1", "give a whole number from 1")
        rates = {"learning_rate": self.learning_rate, **{f"learning_rates.{k}": v for k, v in self.learning_rates.items()}}
        shares = {f"mixture.{k}": v for k, v in self.mixture.items()}
        clip = {} if self.clip_norm is None else {"clip_norm": self.clip_norm}
        for key, value in {**rates, **shares, **clip}.items():
            if not (math.isfinite(value) and value > 0):
                raise self._wrong(f"{key} = {value} is not above 0", "give a positive number")
        for key, value in {"weight_decay": self.weight_decay, **{f"loss.{k}": v for k, v in self.loss.items()}}.items():
            if not (math.isfinite(value) and value >= 0):
                raise self._wrong(f"{key} = {value} is below 0", "give 0 or more")
        if self.loss and not any(self.loss.values()):
            raise self._wrong("every weight in loss is 0, so nothing would be learnt", "give one term a weight above 0")
        if not 0 <= self.warmup < 1:
            raise self._wrong(f"warmup = {self.warmup} is outside [0, 1)", "give the share of all steps, such as 0.03")
        if not 0 <= self.floor <= 1:
            raise self._wrong(f"floor = {self.floor} is outside [0, 1]", "give a share of the learning rate")

    def total_steps(self, steps_per_epoch: int) -> int:
        """Steps of the whole stage, at least 1.

        Args:
            steps_per_epoch: steps that one pass over the data takes (micro-batches / accumulate, rounded up).
        """
        by_epochs = math.inf if self.epochs is None else max(1, round(self.epochs * steps_per_epoch))
        return int(min(by_epochs, math.inf if self.steps is None else self.steps))

    def rate_factor(self, step: int, total: int) -> float:
        """The share of the peak learning rate at a step: linear warmup, then the schedule.

        Args:
            step: 0-based. total: all steps of the stage.

        Returns:
            A number in (0, 1]; exactly `floor` only after the last step of a cosine.
        """
        warm = math.ceil(self.warmup * total)
        if step < warm:
            return (step + 1) / (warm + 1)
        if self.schedule is Schedule.CONSTANT:
            return 1.0
        # Loshchilov & Hutter 2017 (arXiv 1608.03983), eq. 5, one cycle
        done = (step - warm) / max(1, total - warm)
        return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    def peak_rate(self, part: str) -> float:
        """The peak learning rate of a part."""
        return self.learning_rates.get(part, self.learning_rate)


@dataclasses.dataclass(frozen=True)
class Source:
    """Where training items come from.

    Args:
        dataset: a name that `vesalius data` lists.
        split: "train"; anything else is refused, for a recipe holds its own development part out and a test part is never training material.
        limit: at most so many items, chosen by the recipe's seed; None takes all.
        options: what the builder of this source reads, strictly, as a dataclass of its own.
    """

    dataset: str
    split: str = "train"
    limit: int | None = None
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.split != "train":
            what = f"source of {self.dataset!r}: split = {self.split!r} is not trained on"
            raise InvalidValue(what, remedy='leave it out, or set split = "train"; the development part is held out by itself')
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"source of {self.dataset!r}: limit = {self.limit} is below 1", remedy="leave it out to take everything")


@dataclasses.dataclass(frozen=True)
class Augment:
    """How training pictures are varied; the development part never is.

    Args:
        policy: the name of one that ships, or a TOML file (`vesalius.data.augment`).
        views: different variants of each picture; epoch e of a stage shows number e modulo `views`, so that a tower that stands still looks at so many
            and no more.

    Raises:
        ConfigError: no views.
    """

    policy: str = "everyday"
    views: int = 4

    def __post_init__(self) -> None:
        if self.views < 1:
            raise ConfigError(f"augment: views = {self.views} is below 1", remedy="give a whole number from 1, or leave [augment] out")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A whole run.

    Args:
        name: of the run.
        model: a name that `vesalius models` lists.
        seed: all randomness of the run derives from it.
        output: folder of checkpoints, curve and weights.
        sources: what the stages' mixtures name.
        data: root of the data sets; None asks the environment.
        development: share of the images held out of training for every choice, in (0, 1).
        augment: how training pictures are varied; None shows them as they are.
        model_options: what the model's own builder reads, strictly (adapters, image tokens, ...).
        stages: in order.

    Raises:
        ConfigError: no stage, a stage named twice, a mixture of unknown sources.
    """

    name: str
    model: str
    seed: int
    output: Path
    stages: tuple[Stage, ...]
    sources: Mapping[str, Source] = dataclasses.field(default_factory=dict)
    data: Path | None = None
    development: float = 0.1
    augment: Augment | None = None
    model_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        where = f"recipe {self.name!r}"
        if not self.stages:
            raise ConfigError(f"{where}: has no stages", remedy="add a table [[stages]]")
        names = [s.name for s in self.stages]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ConfigError(f"{where}: two stages are called {twice[0]!r}", remedy="give each its own name")
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"{where}: seed = {self.seed} is outside 0 to 4294967295", remedy="give a seed in that range")
        if not 0 < self.development < 1:
            raise ConfigError(f"{where}: development = {self.development} is outside (0, 1)", remedy="give the share held out, such as 0.1")
        for stage in self.stages:
            for source in stage.mixture:
                if source not in self.sources:
                    remedy = _hint(source, self.sources, "name sources of the recipe")
                    raise ConfigError(f"{where}: stage {stage.name!r}: mixture names {source!r}, which is no source", remedy=remedy)


@dataclasses.dataclass(frozen=True)
class _Changes:
    stages: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)


def read(path: str | Path, *, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        path: the TOML file.
        overrides: texts `key=value`; `stages.alignment.steps=20` reaches into the stage of that name.

    Raises:
        ConfigError: whatever `config.read` and the dataclasses refuse, or an override of a stage that does not exist.
        UnknownName, InvalidValue: the policy of augmentation, as `augment.named`; a part that is not trained on.
    """
    staged = [item for item in overrides if item.partition("=")[0].strip().startswith("stages.")]
    recipe = config.read(path, Recipe, overrides=[item for item in overrides if item not in staged])
    changes = config.parse("", _Changes, where="--set", overrides=staged).stages
    if recipe.augment is not None:
        from vesalius.data import augment  # only a recipe that names a policy needs it

        augment.named(recipe.augment.policy)
    known = [s.name for s in recipe.stages]
    for name in changes:
        if name not in known:
            raise ConfigError(f"--set: no stage is called {name!r}", remedy=_hint(name, known, "name a stage of the recipe"))
    return dataclasses.replace(recipe, stages=tuple(_changed(s, changes.get(s.name, {}), where=f"{path}: --set stages.{s.name}") for s in recipe.stages))


def _changed(stage: Stage, change: Mapping[str, Any], *, where: str) -> Stage:
    values = dataclasses.asdict(stage)
    for key, value in change.items():
        old = values.get(key)
        values[key] = {**old, **value} if isinstance(old, dict) and isinstance(value, Mapping) else value
    return config.build(values, Stage, where=where)


def _hint(name: str, known: Iterable[str], otherwise: str) -> str:
    known = list(known)
    guess = nearest(name, known)
    return f"did you mean {guess!r}?" if guess else f"{otherwise}: {', '.join(known) or 'none'}"
