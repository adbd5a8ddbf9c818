"""One stage of training: batches in, moved parts out; everything else provably where it was.

In: a `Stage`, a module, batches, a loss, and if wanted an evaluation on the development split, checkpoints and a state to continue from.
Out: a `StageResult`; the module holds the best weights (by the development metric) or, without an evaluation, the last ones.
Gradients are of sums over the whole accumulation window divided by the window's counts, so 1 x 8 equals 8 x 1 whatever the batches' lengths.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vesalius.errors import ConfigError, InterruptedWork, UserError, nearest
from vesalius.train.checkpoint import Checkpoints, Randomness, State
from vesalius.train.curve import Evaluation, Step
from vesalius.train.interruption import Interruption
from vesalius.train.objective import Batch, Loss, check_terms, term_weights
from vesalius.train.order import Batches
from vesalius.train.parts import frozen_digest, release, select, set_modes, training_mode, verify_frozen
from vesalius.train.recipe import Stage


class Diverged(UserError):
    """The loss or its gradient is no longer a number; nothing of that step was applied."""


@dataclasses.dataclass(frozen=True)
class StageResult:
    """How a stage ended.

    Args:
        steps: done. stopped: "completed" or "stopped early".
        best: the best evaluation, as `Evaluation`; None when there was none.
        weights: the tensors that moved, by name, on the CPU.
        identity: settings, data and frozen weights it was trained with.
    """

    stage: str
    steps: int
    stopped: str
    best: Evaluation | None
    weights: Mapping[str, Tensor]
    identity: Mapping[str, Any]


def native_bfloat16(device: str | torch.device) -> torch.dtype | None:
    """bfloat16 where the hardware computes in it, else None (float32): what `fit` takes as `dtype`."""
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    if kind == "cpu":
        able = torch.cpu.get_capabilities()
        return torch.bfloat16 if able.get("avx512_bf16") or able.get("amx_bf16") else None
    return None


def fit(
    stage: Stage,
    module: nn.Module,
    batches: Batches,
    loss: Loss,
    evaluate: Callable[[nn.Module], Mapping[str, float]] | None = None,
    state: State | None = None,
    *,
    checkpoints: Checkpoints | None = None,
    on_step: Callable[[Step], None] | None = None,
    on_evaluation: Callable[[Evaluation], None] | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    seed: int = 0,
    generators: Mapping[str, torch.Generator] | None = None,
) -> StageResult:
    """Train one stage, or go on with it.

    With the same arguments, hardware and number of threads, a stage that was killed at any moment and continued from its checkpoint makes the same
    steps, bit for bit on a CPU, as one that was not. The caller's random state is left as it was.

    Args:
        stage: what moves, how fast, for how long.
        module: the model; its parts that move are float32. It is moved to `device`.
        batches: in an order that depends on the epoch alone.
        loss: sums by term.
        evaluate: the module in evaluation mode to metrics; must hold `stage.metric`. Its use of randomness changes nothing in training.
        state: from `checkpoints.latest()`; a finished one is put into the module and returned at once.
        checkpoints: where to save; None saves nothing.
        on_step, on_evaluation: told of each.
        device: of the computation. dtype: of autocast; None computes in the weights' own (see `native_bfloat16`).
        seed: of the run; the stage's own randomness derives from it and the stage's name.
        generators: further generators that the loss or the batches draw from, by name, to be saved with the rest.

    Raises:
        ConfigError: parts, loss weights or metric that do not exist; a state of other settings; a folder that holds another run.
        Diverged: loss or gradient is not finite.
        InterruptedWork: SIGINT or SIGTERM, after the step was finished and saved.
        RuntimeError: a frozen tensor moved.
    """
    where = torch.device(device)
    outside = Randomness.capture(where, generators)
    try:
        with Interruption() as interruption:
            run = _Run(stage, module, batches, loss, evaluate, checkpoints, on_step, on_evaluation, where, dtype, generators or {}, interruption)
            run.begin(state, seed)
            return run.go()
    finally:
        outside.restore(where, generators)


@dataclasses.dataclass
class _Run:
    stage: Stage
    module: nn.Module
    batches: Batches
    loss: Loss
    evaluate: Callable[[nn.Module], Mapping[str, float]] | None
    checkpoints: Checkpoints | None
    on_step: Callable[[Step], None] | None
    on_evaluation: Callable[[Evaluation], None] | None
    device: torch.device
    dtype: torch.dtype | None
    generators: Mapping[str, torch.Generator]
    interruption: Interruption

    def __post_init__(self) -> None:
        if self.dtype not in (None, torch.bfloat16):
            raise TypeError(f"dtype is bfloat16 or None (got {self.dtype}): float16 would need its gradients scaled")
        if self.stage.patience is not None and self.evaluate is None:
            raise ConfigError(f"stage {self.stage.name!r}: has patience but no development split", remedy="give one, or leave patience out")
        self.weights_of_terms = term_weights(self.stage, self.loss.terms)
        self.module.to(self.device)
        self.groups = release(self.module, self.stage.train)
        self.moving = {n: t for members in select(self.module, self.stage.train).values() for n, t in members.items()}
        self.modes = training_mode(self.module, self.moving)
        self.per_epoch = math.ceil(len(self.batches) / self.stage.accumulate)
        self.total = self.stage.total_steps(self.per_epoch)
        self.optimiser, self.names = _optimiser(self.stage, self.groups)
        self.frozen = frozen_digest(self.module, self.moving)
        self.identity = _identity(self.stage, self.batches, self.frozen)
        self.step = 0
        self.best: Evaluation | None = None
        self.best_weights: dict[str, Tensor] = {}
        self.stale = 0
        self.evaluated: int | None = None
        self.finished: str | None = None
        self.stream: Iterator[Any] = iter(())

    # ---- beginning and ending -------------------------------------------------------------------------------------------------------------

    def begin(self, state: State | None, seed: int) -> None:
        if state is None:
            if self.checkpoints is not None:
                self.checkpoints.require_empty()
            _seed_everything(seed, self.stage.name)
            return
        _require_same(state.identity, self.identity, self.stage.name)
        self._load(state.weights)
        self.step, self.stale, self.evaluated, self.finished = state.step, state.stale, state.evaluated, state.finished
        self.best = Evaluation(**state.best) if state.best else None
        self.best_weights = state.best_weights
        if self.finished is None:
            self._load_optimiser(state.optimiser)
            if state.randomness is not None:
                state.randomness.restore(self.device, self.generators)
            if self.step % self.per_epoch:
                self._open_epoch()

    def go(self) -> StageResult:
        if self.finished is None:
            self._evaluate_when_due()  # a run stopped between a step and its evaluation
            while self.finished is None:
                self._train_step()
                if self.interruption.requested:
                    raise self._interrupted()
                self._evaluate_when_due()
                if self.finished is None and self.checkpoints is not None and self.step % self.stage.checkpoint_every == 0:
                    self.checkpoints.save(self._state())
            self._finish()
        if self.interruption.requested:  # it came during the last evaluation: the caller must not begin the next stage
            raise self._interrupted()
        self.module.eval()
        weights = {n: t.detach().cpu().clone() for n, t in self.moving.items()}
        return StageResult(self.stage.name, self.step, str(self.finished), self.best, weights, self.identity)

    def _finish(self) -> None:
        if self.best_weights:
            self._load(self.best_weights)
        self.optimiser.zero_grad(set_to_none=True)
        verify_frozen(self.frozen, frozen_digest(self.module, self.moving))
        if self.checkpoints is not None:
            self.checkpoints.save(self._state())

    def _interrupted(self) -> InterruptedWork:
        what = f"training was stopped in stage {self.stage.name!r} after step {self.step:,} of {self.total:,}"
        if self.checkpoints is None:
            return InterruptedWork(f"{what} and nothing was saved", remedy="start again, with a folder for checkpoints")
        saved = self.checkpoints.save(self._state())
        return InterruptedWork(f"{what} and saved in {saved}", remedy="run the same command with --resume to go on exactly there")

    # ---- one step -------------------------------------------------------------------------------------------------------------------------

    def _open_epoch(self) -> None:
        epoch, inside = divmod(self.step, self.per_epoch)
        self.stream = self.batches.epoch(epoch, inside * self.stage.accumulate)

    def _train_step(self) -> None:
        began = time.perf_counter()
        if self.step % self.per_epoch == 0:
            self._open_epoch()
        set_modes(self.modes)
        window = list(itertools.islice(self.stream, self.stage.accumulate))
        rates = self._set_rates()
        terms = self._backward(window)
        parameters = [p for members in self.groups.values() for p in members.values()]
        norm = float(nn.utils.clip_grad_norm_(parameters, self.stage.clip_norm if self.stage.clip_norm is not None else math.inf))
        value = sum(self.weights_of_terms[t] * v for t, v in terms.items() if self.weights_of_terms[t])
        if not (math.isfinite(value) and math.isfinite(norm)):
            raise self._diverged(value, norm)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.step += 1
        if self.on_step is not None:
            tokens = sum(b.tokens for b in window)
            spent = time.perf_counter() - began
            self.on_step(Step(self.stage.name, self.step, self.total, self.step / self.per_epoch, value, terms, norm, rates, tokens, spent))

    def _set_rates(self) -> dict[str, float]:
        factor = self.stage.rate_factor(self.step, self.total)
        for group in self.optimiser.param_groups:
            group["lr"] = self.stage.peak_rate(group["part"]) * factor
        return {part: self.stage.peak_rate(part) * factor for part in self.groups}

    def _backward(self, window: Sequence[Batch]) -> dict[str, float]:
        """Gradients of the window's weighted mean, micro-batch by micro-batch; each term's mean."""
        counts: dict[str, float] = {}
        for batch in window:
            for term, count in batch.counts.items():
                counts[term] = counts.get(term, 0.0) + count
        sums: dict[str, Tensor] = {}
        for batch in window:
            with torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype is not None):
                given = self.loss(self.module, batch.to(self.device))
            check_terms(given, counts, self.loss.terms)
            given = {t: v.float() for t, v in given.items() if counts[t] > 0}
            parts = [v * (self.weights_of_terms[t] / counts[t]) for t, v in given.items() if self.weights_of_terms[t]]
            if parts:
                torch.autograd.backward(torch.stack(parts).sum())
            for term, v in given.items():
                sums[term] = sums.get(term, torch.zeros((), device=v.device)) + v.detach()
        if not any(self.weights_of_terms[t] for t in sums):
            raise ValueError(f"no term of the loss counts anything in step {self.step + 1}: there is nothing to learn from")
        return {term: float(v) / counts[term] for term, v in sums.items()}

    def _diverged(self, value: float, norm: float) -> Diverged:
        kept = self.checkpoints.paths() if self.checkpoints is not None else []
        last = f"the last good checkpoint is {kept[0]}" if kept else "there is no earlier checkpoint"
        what = f"stage {self.stage.name!r} diverged in step {self.step + 1}: loss {value:.4g}, gradient norm {norm:.4g}; {last}"
        return Diverged(what, remedy="lower learning_rate, lengthen warmup or set clip_norm, and train the stage again")

    # ---- evaluation -----------------------------------------------------------------------------------------------------------------------

    def _evaluate_when_due(self) -> None:
        """Look at the development split when it is time, and decide whether the stage is over."""
        every = self.stage.evaluate_every or self.per_epoch
        due = self.step % every == 0 or self.step >= self.total if self.step > 0 else self.stage.keep_start
        if due and self.evaluate is not None and self.evaluated != self.step:
            self._look(self.evaluate)
        if self.step >= self.total:
            self.finished = "completed"
        elif self.stage.patience is not None and self.stale >= self.stage.patience:
            self.finished = "stopped early"

    def _look(self, evaluate: Callable[[nn.Module], Mapping[str, float]]) -> None:
        began = time.perf_counter()
        before = Randomness.capture(self.device, self.generators)
        self.module.eval()
        autocast = torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype is not None)
        with torch.no_grad(), autocast:
            metrics = {k: float(v) for k, v in evaluate(self.module).items()}
        before.restore(self.device, self.generators)
        if self.stage.metric not in metrics:
            guess = nearest(self.stage.metric, metrics) or ", ".join(metrics) or "none"
            raise ConfigError(f"stage {self.stage.name!r}: the evaluation gives no metric {self.stage.metric!r}", remedy=f"set metric to one it gives: {guess}")
        better = _better(metrics[self.stage.metric], self.best, self.stage.lower_is_better)
        look = Evaluation(self.stage.name, self.step, metrics, self.stage.metric, better, time.perf_counter() - began)
        self.evaluated = self.step
        self.stale = 0 if better else self.stale + 1
        if better:
            self.best, self.best_weights = look, self._copy()
        if self.on_evaluation is not None:
            self.on_evaluation(look)

    # ---- state ----------------------------------------------------------------------------------------------------------------------------

    def _copy(self) -> dict[str, Tensor]:
        return {n: t.detach().to("cpu", copy=True) for n, t in self.moving.items()}

    def _load(self, weights: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for name, tensor in self.moving.items():
                tensor.copy_(weights[name])

    def _state(self) -> State:
        best = dataclasses.asdict(self.best) if self.best else None
        if self.finished is not None:
            return State(self.stage.name, self.step, self.identity, self._copy(), best=best, evaluated=self.evaluated, finished=self.finished)
        kept = self.optimiser.state_dict()["state"]
        optimiser = {f"{self.names[i]}/{key}": torch.as_tensor(value) for i, values in kept.items() for key, value in values.items()}
        randomness = Randomness.capture(self.device, self.generators)
        return State(
            self.stage.name, self.step, self.identity, self._copy(), optimiser, randomness, best, self.best_weights, self.stale, self.evaluated, self.finished
        )

    def _load_optimiser(self, tensors: Mapping[str, Tensor]) -> None:
        index = {name: i for i, name in enumerate(self.names)}
        state: dict[int, dict[str, Tensor]] = {}
        for full, tensor in tensors.items():
            name, _, key = full.rpartition("/")
            state.setdefault(index[name], {})[key] = tensor
        self.optimiser.load_state_dict({"state": state, "param_groups": self.optimiser.state_dict()["param_groups"]})


def _optimiser(stage: Stage, groups: Mapping[str, Mapping[str, nn.Parameter]]) -> tuple[torch.optim.AdamW, list[str]]:
    """AdamW with a group for each part and kind of decay, and the parameters' names in its order."""
    settings: list[dict[str, Any]] = []
    names: list[str] = []
    for part, members in groups.items():
        for decays in (True, False):
            # biases and norms set a level, they do not grow with overfitting
            mine = {n: p for n, p in members.items() if (p.ndim >= 2) == decays}
            if mine:
                names += mine
                decay = stage.weight_decay if decays else 0.0
                settings.append({"params": list(mine.values()), "part": part, "lr": stage.peak_rate(part), "weight_decay": decay})
    return torch.optim.AdamW(settings), names


def _identity(stage: Stage, batches: Batches, frozen: Mapping[str, str]) -> dict[str, Any]:
    """What must not change between the two halves of a run, as plain JSON."""
    digest = hashlib.sha256(json.dumps(dict(sorted(frozen.items()))).encode()).hexdigest()
    settings = json.loads(json.dumps(dataclasses.asdict(stage)))
    return {**settings, "data": batches.fingerprint, "micro-batches": len(batches), "frozen weights": digest}


def _require_same(then: Mapping[str, Any], now: Mapping[str, Any], stage: str) -> None:
    changed = [k for k in now if then.get(k) != now[k]]
    if changed:
        key = changed[0]
        raise ConfigError(
            f"stage {stage!r}: its checkpoint was made with {key} = {then.get(key)!r}, now it is {now[key]!r}",
            remedy="resume with the recipe, data and model it was started with, or train into another output folder",
        )


def _better(value: float, best: Evaluation | None, lower: bool) -> bool:
    if not math.isfinite(value):
        return False
    return best is None or (value < best.value if lower else value > best.value)


def _seed_everything(seed: int, stage: str) -> None:
    """Seed every global generator from the run's seed and the stage's name, so that a stage does not depend on those before it."""
    derived = int.from_bytes(hashlib.sha256(f"{seed}/{stage}".encode()).digest()[:4], "big")
    random.seed(derived)
    np.random.seed(derived)  # noqa: NPY002 - augmentation code of others draws from it
    torch.manual_seed(derived)
