"""A model of tower, projector and head small enough to train in milliseconds, with everything that makes training hard to repeat: dropout, running
statistics, a tied weight, an adapter; and data and losses for it.
"""

import dataclasses
import functools
import os
import signal
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from vesalius.train import checkpoint
from vesalius.train.curve import Log
from vesalius.train.loop import fit
from vesalius.train.objective import Objective
from vesalius.train.order import Shuffled
from vesalius.train.recipe import Stage


class Tiny(nn.Module):
    parts = {"tower": ("tower",), "projector": ("projector",), "adapter": ("*.lora_*",)}  # noqa: RUF012

    def __init__(self, dropout=0.25):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            self.tower = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(dropout))
            self.projector = nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Dropout(dropout), nn.Linear(8, 5))
            self.language = nn.ModuleDict({"embed": nn.Embedding(3, 5), "lora_a": nn.Linear(5, 2, bias=False), "lora_b": nn.Linear(2, 3, bias=False)})
            self.output = nn.Linear(5, 3, bias=False)
        self.output.weight = self.language["embed"].weight  # tied, as in the language models used

    def forward(self, x):
        hidden = self.projector(self.tower(x))
        return self.output(hidden) + self.language["lora_b"](self.language["lora_a"](hidden))


@dataclasses.dataclass
class Rows:
    x: torch.Tensor
    y: torch.Tensor
    tokens_of: torch.Tensor  # weight of each item in the first term: its number of tokens

    @property
    def counts(self):
        return {"answer": float(self.tokens_of.sum()), "even": float((self.y != 1).sum())}

    @property
    def tokens(self):
        return int(self.tokens_of.sum())

    def to(self, device):
        return Rows(self.x.to(device), self.y.to(device), self.tokens_of.to(device))


def items(count=38):
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(count, 6, generator=generator)
    y = (x[:, 0] > 0).long() + (x[:, 1] > 0.3).long()
    tokens = torch.randint(1, 9, (count,), generator=generator)
    return [(x[i], y[i], tokens[i]) for i in range(count)]


def rows(chosen):
    return Rows(*(torch.stack([item[k] for item in chosen]) for k in range(3)))


def shuffled(batch_size=4, seed=5, count=38):
    return Shuffled(items(count), batch_size, seed, length=lambda i: float(i[2]), collate=rows)


def sums(module, batch):
    losses = functional.cross_entropy(module(batch.x), batch.y, reduction="none")
    odd = losses[batch.y != 1]
    return {"answer": (losses * batch.tokens_of).sum(), "even": odd.sum()}


LOSS = Objective(("answer", "even"), sums)


def accuracy(module):
    """Draws from the generators on purpose: an evaluation must not change what follows."""
    torch.rand(3)
    chosen = rows(items())
    logits = module(chosen.x)
    return {"loss": functional.cross_entropy(logits, chosen.y).item(), "accuracy": (logits.argmax(1) == chosen.y).float().mean().item()}


def stage(**changes):
    settings = {
        "name": "tiny", "train": ("projector", "adapter"), "learning_rate": 0.01, "steps": 23, "batch_size": 4, "accumulate": 2, "weight_decay": 0.01,
        "evaluate_every": 4, "checkpoint_every": 3, "loss": {"answer": 1.0, "even": 0.5},
    }  # fmt: skip
    return Stage(**{**settings, **changes})


def train(folder, steps, kill_at):
    """One stage, from the newest checkpoint in the folder if there is one.

    kill_at: a step, `write:N` (while the Nth checkpoint of this process is being written) or `never`.
    """
    torch.set_num_threads(1)
    folder = Path(folder)
    kind, _, number = kill_at.rpartition(":")
    kill_step = int(number) if kind == "" and number != "never" else None
    if kind == "write":
        # the kill comes after the tensors are written and before the folder is renamed into place
        checkpoint._sync_folder = functools.partial(_kill_on_call, [0], 2 * int(number) - 1, checkpoint._sync_folder)
    kept = checkpoint.Checkpoints(folder / "tiny")

    def on_step(step):
        log.write(step)
        if step.step == kill_step:
            os.kill(os.getpid(), signal.SIGKILL)

    with Log(folder / "curve.jsonl") as log:
        fit(
            stage(steps=steps), Tiny(), shuffled(), LOSS, accuracy, kept.latest(), checkpoints=kept, on_step=on_step, on_evaluation=log.write, seed=11,
        )  # fmt: skip


def _kill_on_call(calls, number, real, folder):
    calls[0] += 1
    if calls[0] == number:
        os.kill(os.getpid(), signal.SIGKILL)
    real(folder)
