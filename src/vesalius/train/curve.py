"""What happened in training: one JSON line for each step and evaluation, and a picture of it.

In: `Step` and `Evaluation` records as the loop makes them. Out: a log that a kill cannot spoil, and a training curve (PNG, SVG or PDF).
No torch; matplotlib is loaded only to draw.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from vesalius.errors import DataMissing
from vesalius.registry import missing_extra

# Okabe & Ito 2008: told apart with any colour vision
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


@dataclasses.dataclass(frozen=True)
class Step:
    """One move of the optimiser.

    Args:
        stage: its name. step: 1-based. total: steps of the stage.
        epoch: passes over the data so far.
        loss: the weighted sum of `terms`, each the mean over the whole accumulation window.
        norm: Euclidean norm of the gradient before clipping.
        rates: learning rate of each part.
        tokens: tokens of the step. seconds: its wall time.
    """

    stage: str
    step: int
    total: int
    epoch: float
    loss: float
    terms: Mapping[str, float]
    norm: float
    rates: Mapping[str, float]
    tokens: int
    seconds: float


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One look at the development split.

    Args:
        metric: the name in `metrics` that decides. best: whether it is the best so far in its stage.
        seconds: wall time.
    """

    stage: str
    step: int
    metrics: Mapping[str, float]
    metric: str
    best: bool
    seconds: float

    @property
    def value(self) -> float:
        """The metric that decides."""
        return self.metrics[self.metric]


class Log:
    """Appends records to a JSONL file, one line each, flushed at once.

    A run that was killed and continues writes the steps since its checkpoint again; `read` lets the later line stand.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        cut_short = self.path.exists() and self.path.stat().st_size > 0 and not self.path.read_bytes().endswith(b"\n")
        self._stream = self.path.open("a", encoding="utf-8")
        if cut_short:
            self._stream.write("\n")

    def write(self, record: Step | Evaluation) -> None:
        """Append a step or an evaluation."""
        self._stream.write(json.dumps({"kind": type(record).__name__.lower(), **dataclasses.asdict(record)}) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def __enter__(self) -> Log:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def read(path: str | Path) -> list[Step | Evaluation]:
    """The records of a log, in order of stage and step, each step once, the last line of a killed run dropped if it is cut short.

    Raises:
        DataMissing: no such file.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise DataMissing(f"{path}: cannot be read ({error.strerror})", remedy="give the curve.jsonl of a training run") from error
    stages: dict[str, int] = {}
    found: dict[tuple[int, int, str], Step | Evaluation] = {}
    for line in text.splitlines():
        record = _record(line)
        if record is not None:
            stage = stages.setdefault(record.stage, len(stages))
            # "step" sorts after "evaluation" of the same number, yet comes first
            found[stage, record.step, "0" if isinstance(record, Step) else "1"] = record
    return [found[k] for k in sorted(found)]


def _record(line: str) -> Step | Evaluation | None:
    kinds: dict[str, type[Step] | type[Evaluation]] = {"step": Step, "evaluation": Evaluation}
    try:
        fields = json.loads(line)
        return kinds[fields.pop("kind")](**fields)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def smoothed(values: Sequence[float], *, memory: float = 0.95) -> list[float]:
    """Exponential moving average without the pull of its start (Kingma & Ba 2015, section 3).

    Args:
        memory: weight of the past, in [0, 1).
    """
    out, running, mass = [], 0.0, 0.0
    for value in values:
        running = memory * running + (1 - memory) * value
        mass = memory * mass + (1 - memory)
        out.append(running / mass)
    return out


def draw(log: str | Path | Iterable[Step | Evaluation], path: str | Path) -> Path:
    """Draw the training curve: loss, development metrics and learning rates over all stages, with their boundaries.

    Args:
        log: a JSONL file, or records.
        path: of the picture; its ending chooses the kind.

    Returns:
        The path.

    Raises:
        DataMissing: there are no steps to draw.
        MissingExtra: matplotlib is absent.
    """
    records = read(log) if isinstance(log, str | Path) else list(log)
    steps = [r for r in records if isinstance(r, Step)]
    if not steps:
        raise DataMissing(f"{log if isinstance(log, str | Path) else 'the log'}: holds no training steps", remedy="train first, or give another log")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise missing_extra("matplotlib", "drawing a training curve") from error
    looks = [r for r in records if isinstance(r, Evaluation)]
    metrics = list(dict.fromkeys(e.metric for e in looks))
    rows = 2 + len(metrics)
    figure = Figure(figsize=(10, 2.6 + 1.7 * (rows - 1)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": [2.2] + [1.4] * len(metrics) + [1]})[:, 0]
    offsets = _offsets(steps)
    colours = dict(zip(offsets, itertools.cycle(_COLOURS), strict=False))
    _draw_loss(axes[0], steps, offsets, colours)
    for axis, metric in zip(axes[1:-1], metrics, strict=True):
        _draw_metric(axis, metric, [e for e in looks if e.metric == metric], offsets, colours)
    _draw_rates(axes[-1], steps, offsets)
    _mark_stages(list(axes), steps, offsets, colours)
    figure.align_ylabels(list(axes))
    figure.savefig(path, dpi=130)
    return Path(path)


def _offsets(steps: Sequence[Step]) -> dict[str, int]:
    """Where each stage starts on the common axis."""
    lengths: dict[str, int] = {}
    for step in steps:
        lengths[step.stage] = max(step.step, lengths.get(step.stage, 0))
    return dict(zip(lengths, itertools.accumulate([0, *lengths.values()]), strict=False))


def _draw_loss(axis: Any, steps: Sequence[Step], offsets: Mapping[str, int], colours: Mapping[str, str]) -> None:  # noqa: ANN401
    for stage, group in itertools.groupby(steps, key=lambda s: s.stage):
        mine = list(group)
        xs = [offsets[stage] + s.step for s in mine]
        raw = [s.loss for s in mine]
        # about a fiftieth of the stage: enough to see the trend, not enough to hide a jump
        memory = 1 - 1 / max(2.0, min(50.0, len(mine) / 50))
        axis.plot(xs, raw, color=colours[stage], alpha=0.28, linewidth=0.8)
        axis.plot(xs, smoothed(raw, memory=memory), color=colours[stage], linewidth=1.9)
    axis.set_ylabel("training loss\n(pale: each step)")
    axis.grid(alpha=0.25)


def _draw_metric(axis: Any, metric: str, looks: Sequence[Evaluation], offsets: Mapping[str, int], colours: Mapping[str, str]) -> None:  # noqa: ANN401
    for stage in dict.fromkeys(e.stage for e in looks):
        mine = [e for e in looks if e.stage == stage and stage in offsets]
        axis.plot([offsets[stage] + e.step for e in mine], [e.value for e in mine], color=colours[stage], marker="o", markersize=3.5, linewidth=1.2)
        best = [e for e in mine if e.best]
        if best:
            x, y = offsets[stage] + best[-1].step, best[-1].value
            axis.plot([x], [y], marker="*", markersize=13, color=colours[stage], markeredgecolor="white", linestyle="none", zorder=5)
            axis.annotate(f"{y:.3g}", (x, y), textcoords="offset points", xytext=(0, 9), ha="center", fontsize=8.5, color=colours[stage], fontweight="bold")
    axis.margins(y=0.28)
    axis.set_ylabel(f"development\n{metric} (★ best)")
    axis.grid(alpha=0.25)


def _draw_rates(axis: Any, steps: Sequence[Step], offsets: Mapping[str, int]) -> None:  # noqa: ANN401
    styles = dict(zip(dict.fromkeys(p for s in steps for p in s.rates), itertools.cycle(("-", "--", ":", "-.")), strict=False))
    labelled: set[str] = set()
    for stage, group in itertools.groupby(steps, key=lambda s: s.stage):
        mine = list(group)
        for part in mine[0].rates:
            xs, rates = [offsets[stage] + s.step for s in mine], [s.rates[part] for s in mine]
            axis.plot(xs, rates, linestyle=styles[part], color="#444444", linewidth=1.3, label="_" if part in labelled else part)
            labelled.add(part)
    axis.set_yscale("log")
    peaks = [max(s.rates[p] for s in steps if p in s.rates) for p in styles]
    # a cosine ends at nothing, which on this scale would push everything else together
    axis.set_ylim(min(peaks) / 100, max(peaks) * 2)
    axis.set_ylabel("learning rate")
    axis.set_xlabel("step")
    axis.legend(fontsize=8, loc="lower center", frameon=True, framealpha=0.85, ncols=min(4, len(styles)))
    axis.grid(alpha=0.25)


def _mark_stages(axes: Sequence[Any], steps: Sequence[Step], offsets: Mapping[str, int], colours: Mapping[str, str]) -> None:
    total = max(offsets[s.stage] + s.step for s in steps)
    for number, (stage, offset) in enumerate(offsets.items()):
        last = max(s.step for s in steps if s.stage == stage)
        height = 1.02 + (0.075 * (number % 3) if last < 0.15 * total else 0.0)  # names of short stages would stand in one another
        if offset:
            for axis in axes:
                axis.axvline(offset + 0.5, color="#888888", linewidth=1, linestyle=(0, (4, 3)))
        axes[0].text(
            offset + last / 2, height, stage, transform=axes[0].get_xaxis_transform(), ha="center", va="bottom", color=colours[stage], fontweight="bold"
        )
    axes[0].set_xlim(0.5, total + 0.5)
