import dataclasses
import signal
import threading

import pytest
import torch

from tests.invariant.tiny_training import LOSS, Tiny, accuracy, items, rows, shuffled, stage
from vesalius.errors import ConfigError, InterruptedWork
from vesalius.train.checkpoint import Checkpoints
from vesalius.train.loop import Diverged, fit, native_bfloat16
from vesalius.train.objective import Objective
from vesalius.train.order import Shuffled


def test_the_loss_falls():
    steps = []
    fit(stage(steps=200, evaluate_every=None, learning_rate=0.02), Tiny(dropout=0.0), shuffled(), LOSS, on_step=steps.append)
    assert sum(s.loss for s in steps[-5:]) < 0.4 * sum(s.loss for s in steps[:5])


def test_the_loss_told_is_the_weighted_sum_of_its_terms_means():
    """One step by hand: token-weighted mean of the answers, and half the mean over the items of the second term."""
    module, steps = Tiny(dropout=0.0), []
    batches = Shuffled(list(range(8)), 4, seed=5, collate=lambda chosen: _rows_of(chosen))
    first = _rows_of([i for b in batches.indices(0) for i in b])
    module.eval()
    losses = torch.nn.functional.cross_entropy(module(first.x), first.y, reduction="none").detach()
    by_hand = (losses * first.tokens_of).sum() / first.tokens_of.sum() + 0.5 * losses[first.y != 1].mean()
    fit(stage(steps=1, evaluate_every=None), module, batches, LOSS, on_step=steps.append)
    assert steps[0].loss == pytest.approx(by_hand.item(), abs=1e-6)
    assert steps[0].tokens == int(first.tokens_of.sum())


def _rows_of(positions):
    everything = items()
    return rows([everything[int(i)] for i in positions])


def test_the_rates_told_are_those_of_recipe_and_schedule():
    steps = []
    settings = stage(steps=20, learning_rates={"adapter": 0.001}, warmup=0.1)
    fit(settings, Tiny(), shuffled(), LOSS, on_step=steps.append)
    assert [s.rates for s in steps] == [{"projector": 0.01 * f, "adapter": 0.001 * f} for f in (settings.rate_factor(i, 20) for i in range(20))]


def test_a_gradient_is_clipped(tmp_path):
    """AdamW hides the size of a gradient in its steps, but not in its first moment."""

    def train(clip):
        checkpoints = Checkpoints(tmp_path / str(clip))
        with pytest.raises(InterruptedWork):
            fit(stage(clip_norm=clip), Tiny(0.0), shuffled(), LOSS, checkpoints=checkpoints, on_step=lambda s: signal.raise_signal(signal.SIGINT))
        moments = [t for n, t in checkpoints.latest().optimiser.items() if n.endswith("exp_avg")]
        return float(torch.sqrt(sum((m**2).sum() for m in moments))) * 10  # exp_avg is a tenth of the first gradient

    kept = {clip: train(clip) for clip in (None, 1e-3)}
    assert kept[1e-3] == pytest.approx(1e-3, rel=1e-2)
    assert kept[None] > 0.1


def test_the_best_weights_are_kept_and_training_stops_early():
    scores = iter([0.1, 0.9, 0.5, 0.6, 0.7, 0.8])
    seen = []

    def evaluate(module):
        assert not module.training
        seen.append({n: p.clone() for n, p in module.named_parameters()})
        return {"score": next(scores)}

    module = Tiny()
    settings = stage(metric="score", lower_is_better=False, patience=3, evaluate_every=2)
    result = fit(settings, module, shuffled(), LOSS, evaluate)
    assert (result.stopped, result.steps) == ("stopped early", 10)
    assert (result.best.step, result.best.value) == (4, 0.9)
    assert all(torch.equal(p, seen[1][n]) for n, p in module.named_parameters())
    assert any(not torch.equal(p, seen[-1][n]) for n, p in module.named_parameters())
    assert all(torch.equal(t, module.state_dict()[n]) for n, t in result.weights.items())
    assert not module.training


def test_a_stage_that_may_keep_its_start_ends_no_worse_than_it_began():
    module, values, looks = Tiny(), iter([0.9, 0.5, 0.7]), []
    before = {n: t.clone() for n, t in module.state_dict().items()}
    settings = stage(metric="score", lower_is_better=False, steps=4, evaluate_every=2, keep_start=True)
    result = fit(settings, module, shuffled(), LOSS, lambda m: {"score": next(values)}, on_evaluation=looks.append)
    assert [look.step for look in looks] == [0, 2, 4]
    assert result.best == looks[0]
    assert all(torch.equal(t, before[n]) for n, t in module.state_dict().items())


def test_a_metric_that_is_no_number_is_never_best():
    values = iter([float("nan"), 1.0, float("nan"), 2.0, 3.0, 4.0])
    result = fit(stage(evaluate_every=4), Tiny(), shuffled(), LOSS, lambda m: {"loss": next(values)})
    assert (result.best.step, result.best.value) == (8, 1.0)


def test_the_last_step_is_always_evaluated():
    steps = []
    fit(stage(evaluate_every=10), Tiny(), shuffled(), LOSS, accuracy, on_evaluation=lambda e: steps.append(e.step))
    assert steps == [10, 20, 23]


def test_a_stage_that_is_finished_comes_back_at_once(tmp_path):
    kept = Checkpoints(tmp_path)
    done = fit(stage(), Tiny(), shuffled(), LOSS, accuracy, checkpoints=kept)
    module = Tiny()
    told = []
    again = fit(stage(), module, shuffled(), LOSS, accuracy, kept.latest(), checkpoints=kept, on_step=told.append, on_evaluation=told.append)
    assert told == []
    assert (again.best, again.stopped, again.steps) == (done.best, done.stopped, done.steps)
    assert all(torch.equal(module.state_dict()[n], t) for n, t in done.weights.items())


def test_checkpoints_hold_what_moves_alone(tmp_path):
    kept = Checkpoints(tmp_path)
    fit(stage(), Tiny(), shuffled(), LOSS, checkpoints=kept)
    assert {n.partition(".")[0] for n in kept.latest().weights} == {"projector", "language"}
    assert "language.embed.weight" not in kept.latest().weights


def _diverging(at, kind):
    calls = [0]

    def sums(module, batch):
        calls[0] += 1
        given = dict(LOSS(module, batch))
        if calls[0] == at:
            if kind == "gradient":  # a finite loss whose gradient is not: the root of nothing
                given["even"] = given["even"] + torch.sqrt((module.projector[0].weight * 0).sum())
            else:
                given["even"] = given["even"] * float(kind)
        return given

    return Objective(LOSS.terms, sums)


@pytest.mark.parametrize("kind", ["nan", "inf", "gradient"])
def test_a_loss_that_is_no_number_stops_before_it_does_harm(tmp_path, kind):
    kept, module, steps = Checkpoints(tmp_path), Tiny(), []
    with pytest.raises(Diverged, match=r"diverged in step 8: .*last good checkpoint is .*step-00000006: lower learning_rate"):
        fit(stage(), module, shuffled(), _diverging(15, kind), accuracy, checkpoints=kept, on_step=steps.append)
    assert len(steps) == 7
    assert all(torch.isfinite(p).all() for p in module.parameters())
    assert kept.latest().step == 6


def test_divergence_without_checkpoints_says_so():
    with pytest.raises(Diverged, match="no earlier checkpoint"):
        fit(stage(), Tiny(), shuffled(), _diverging(1, "nan"))


def test_a_signal_without_a_folder_says_that_nothing_was_saved():
    with pytest.raises(InterruptedWork, match="after step 1 of 23 and nothing was saved"):
        fit(stage(), Tiny(), shuffled(), LOSS, on_step=lambda s: signal.raise_signal(signal.SIGINT))


def test_a_signal_in_the_last_evaluation_is_not_lost(tmp_path):
    def evaluate(module):
        signal.raise_signal(signal.SIGTERM)
        return accuracy(module)

    kept = Checkpoints(tmp_path)
    with pytest.raises(InterruptedWork, match="after step 23 of 23"):
        fit(stage(evaluate_every=100), Tiny(), shuffled(), LOSS, evaluate, checkpoints=kept)
    assert kept.latest().finished == "completed"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"train": ("projektor",)}, "no part 'projektor'"),
        ({"loss": {"anser": 1.0, "even": 1.0}}, "no term 'anser': did you mean 'answer'"),
        ({"loss": {"answer": 1.0}}, "no weight to the term 'even'"),
        ({"metric": "acuracy"}, "no metric 'acuracy': set metric to one it gives: accuracy"),
    ],
)
def test_a_stage_that_does_not_fit_is_refused(changes, says):
    with pytest.raises(ConfigError, match=says):
        fit(stage(**changes), Tiny(), shuffled(), LOSS, accuracy)


def test_patience_needs_a_development_split():
    with pytest.raises(ConfigError, match="patience but no development split"):
        fit(stage(patience=2), Tiny(), shuffled(), LOSS)


def test_a_folder_with_another_run_is_refused(tmp_path):
    kept = Checkpoints(tmp_path)
    fit(stage(), Tiny(), shuffled(), LOSS, checkpoints=kept)
    with pytest.raises(ConfigError, match="add --resume"):
        fit(stage(), Tiny(), shuffled(), LOSS, checkpoints=kept)


def _other_base():
    module = Tiny()
    with torch.no_grad():
        module.tower[0].bias[0] += 1
    return module


@pytest.mark.parametrize(
    ("settings", "module", "batches", "says"),
    [
        ({"learning_rate": 0.02}, Tiny, shuffled, r"made with learning_rate = 0\.01, now it is 0\.02"),
        ({"steps": 24}, Tiny, shuffled, "steps = 23"),
        ({}, Tiny, lambda: shuffled(seed=6), "data = "),
        ({}, _other_base, shuffled, "frozen weights = "),
    ],
)
def test_another_run_cannot_be_continued(tmp_path, settings, module, batches, says):
    kept = Checkpoints(tmp_path)
    with pytest.raises(InterruptedWork):
        fit(stage(), Tiny(), shuffled(), LOSS, checkpoints=kept, on_step=lambda s: signal.raise_signal(signal.SIGINT))
    with pytest.raises(ConfigError, match=says):
        fit(stage(**settings), module(), batches(), LOSS, state=kept.latest(), checkpoints=kept)


def test_a_loss_that_keeps_no_promises_is_our_bug():
    with pytest.raises(ValueError, match="'more' that it does not declare"):
        fit(stage(), Tiny(), shuffled(), Objective(LOSS.terms, lambda m, b: {**LOSS(m, b), "more": torch.zeros(())}))
    with pytest.raises(ValueError, match="no batch of the window counts the term 'third'"):
        fit(stage(loss={}), Tiny(), shuffled(), Objective((*LOSS.terms, "third"), lambda m, b: {**LOSS(m, b), "third": torch.zeros(())}))
    with pytest.raises(ValueError, match="nothing to learn from"):
        fit(stage(), Tiny(), shuffled(), Objective(LOSS.terms, lambda m, b: {}))


def test_a_term_of_weight_0_is_told_and_not_learnt():
    """Even one that is not a number."""
    steps = []
    fit(stage(loss={"answer": 1.0, "even": 0.0}), Tiny(), shuffled(), _diverging(1, "nan"), on_step=steps.append)
    assert steps[0].loss == steps[0].terms["answer"]
    assert "even" in steps[0].terms


def test_decay_is_for_matrices():
    """With a gradient of zero, AdamW without decay leaves a weight where it is."""
    module = Tiny()
    before = {n: p.clone() for n, p in module.projector.named_parameters()}
    nothing = Objective(LOSS.terms, lambda m, b: {t: (v * 0 + sum(p.sum() for p in m.projector.parameters()) * 0) for t, v in LOSS(m, b).items()})
    fit(stage(weight_decay=0.1, warmup=0.0, schedule="constant", steps=1, train=("projector",)), module, shuffled(), nothing)
    for name, after in module.projector.named_parameters():
        expected = before[name] * (1 - 0.01 * 0.1) if after.ndim == 2 else before[name]
        assert torch.allclose(after, expected, atol=1e-8), name


def test_autocast_is_bfloat16_inside_the_loss_and_weights_stay_float32():
    seen = set()

    def sums(module, batch):
        seen.add(module.projector(module.tower(batch.x)).dtype)
        return LOSS(module, batch)

    result = fit(stage(steps=3), Tiny(), shuffled(), Objective(LOSS.terms, sums), accuracy, dtype=torch.bfloat16)
    assert seen == {torch.bfloat16}
    assert {t.dtype for t in result.weights.values()} == {torch.float32}
    with pytest.raises(TypeError, match="float16 would need"):
        fit(stage(steps=3), Tiny(), shuffled(), LOSS, dtype=torch.float16)


def test_hardware_is_asked_for_bfloat16(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert native_bfloat16("cpu") is torch.bfloat16
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    assert native_bfloat16("cpu") is None
    assert native_bfloat16("meta") is None


def test_batches_are_moved_to_the_device():
    asked = []

    @dataclasses.dataclass
    class Moving:
        inside: object

        @property
        def counts(self):
            return self.inside.counts

        @property
        def tokens(self):
            return self.inside.tokens

        def to(self, device):
            asked.append(device)
            return self.inside

    batches = shuffled()
    moving = dataclasses.replace(batches, collate=lambda chosen: Moving(rows(chosen)))
    fit(stage(steps=2), Tiny(), moving, LOSS, device="cpu")
    assert asked == [torch.device("cpu")] * 4


def test_training_in_another_thread_works():
    results = []
    thread = threading.Thread(target=lambda: results.append(fit(stage(steps=2), Tiny(), shuffled(), LOSS)))
    thread.start()
    thread.join()
    assert results[0].steps == 2
