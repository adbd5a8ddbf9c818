"""A deterministic model that takes its time and notes every call in a file, by whichever process: for tests that kill.

VESALIUS_TEST_CALLS names the file: one line of JSON for each call, written before it is answered. VESALIUS_TEST_PAUSE: seconds a call takes.
VESALIUS_TEST_FATE: "question part=what happens", when a question holds that text: "die" (killed), "bug" (an exception).
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.evaluate_miniature import FakeModel, Seen
from vesalius.domain.exchange import Answer, Question
from vesalius.models.base import Sampling


class SlowModel(FakeModel):
    """A fake that is wrong now and then; blank, seen and drawn answers are all by hash."""

    def __init__(self) -> None:
        super().__init__(wrong=0.2)

    def ask(self, asks: Sequence[tuple[Seen, Question, Sampling]]) -> list[Answer]:
        call = [[seen.key, question.text, sampling.temperature, sampling.seed] for seen, question, sampling in asks]
        note = (json.dumps(call) + "\n").encode()
        stream = os.open(os.environ["VESALIUS_TEST_CALLS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(stream, note)
        os.close(stream)
        text, _, fate = os.environ.get("VESALIUS_TEST_FATE", "").partition("=")
        if fate and any(text in question.text for _, question, _ in asks):
            if fate == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            raise ZeroDivisionError("a mistake in the middle")
        time.sleep(float(os.environ.get("VESALIUS_TEST_PAUSE", "0")))
        return super().ask(asks)


def load() -> SlowModel:
    """What an entry point names."""
    return SlowModel()


def install(site: Path) -> Path:
    """Make a folder with an installed package that offers the model "slow"."""
    info = site / "vesalius_slow-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vesalius-slow\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[vesalius.models]\nslow = tests.slow_standin:load\n")
    return site


def calls(path: Path) -> list[Counter[str]]:
    """The questions of each call that was begun, in order; a line that a kill tore is none."""
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [Counter(json.dumps(ask) for ask in json.loads(line)) for line in lines]
