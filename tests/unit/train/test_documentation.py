"""The page about training is executed."""

from pathlib import Path

from tests.invariant.tiny_training import Tiny, accuracy, items, rows, sums

RECIPE = """
name = "tiny"
model = "tiny"
seed = 4
output = "out"
[[stages]]
name = "alignment"
train = ["projector"]
learning_rate = 0.01
epochs = 1
batch_size = 4
loss = { answer = 1 }
"""


def test_the_example_runs_and_runs_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    page = (Path(__file__).parents[3] / "docs" / "train.md").read_text(encoding="utf-8")
    example = page.split("```python\n")[1].split("```")[0]

    def answers(module, batch):
        return {"answer": sums(module, batch)["answer"]}

    for _ in range(2):  # the second finds the stage finished
        exec(example, {"module": Tiny(), "items": items(), "collate": rows, "sums": answers, "evaluate": accuracy})
    assert len((tmp_path / "out" / "curve.jsonl").read_text().splitlines()) == 10 + 1
    assert (tmp_path / "out" / "curve.png").stat().st_size > 10_000
