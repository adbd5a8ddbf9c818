"""Every stage of the published recipes moves what it says and nothing else, on the real composition around a small random language model."""

import copy
from pathlib import Path

import pytest
import torch

from vesalius.errors import ConfigError
from vesalius.models import efficientnet, llama, pocket
from vesalius.train import recipe as recipes
from vesalius.train.batches import Collate, Shown, items
from vesalius.train.curriculum import _shown, _teacher
from vesalius.train.development import Development
from vesalius.train.examples import Example
from vesalius.train.features import Texts
from vesalius.train.loop import fit
from vesalius.train.objectives import Answers
from vesalius.train.order import Shuffled

RECIPES = Path(__file__).parents[2] / "recipes"
STAGES = recipes.read(RECIPES / "pocket.toml").stages
CONSISTENT = recipes.read(RECIPES / "pocket-consistent.toml").stages
FIRST, LAYERS, VOCABULARY = pocket.FIRST_ADAPTED, pocket.FIRST_ADAPTED + 2, 40


class _Prompt:
    yes, no = (3,), (4,)


@pytest.fixture(scope="module")
def composition():
    torch.manual_seed(0)
    shape = llama.Shape(VOCABULARY, pocket.WIDTH, 8, LAYERS, 9, 3, 64, 512, 1e5, 1e-5, tied=True)
    return pocket.adapt(pocket.build(llama.Llama(shape), efficientnet.EfficientNetLite0()))


def _material():
    examples = [
        Example(f"{i}.png", text, answer, "s", closed=True, group=f"g{i}", polarity=polarity)
        for i in range(4)
        for text, answer, polarity in (("Is there x?", "yes" if i % 2 else "no", 1), ("Is x absent?", "no" if i % 2 else "yes", -1))
    ]
    pairs = {(e.question, e.answer) for e in examples}
    generator = torch.Generator().manual_seed(1)
    deep = {p: torch.randn(7, pocket.WIDTH, generator=generator).half() for p in sorted(pairs)}
    words = {q: torch.randn(pocket.WIDTH, generator=generator).half() for q in sorted({q for q, _ in pairs})}
    texts = Texts(deep, {(q, a): (3 if a == "yes" else 4, 2) for q, a in pairs}, words)
    pixels = {f"{i}.png": torch.randint(256, (1, 3, 64, 64), generator=generator, dtype=torch.uint8) for i in range(4)}
    return examples, texts, pixels


@pytest.mark.parametrize("dtype", [None, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("stage", STAGES + CONSISTENT, ids=lambda s: s.name)
def test_only_what_the_stage_names_moves(stage, dtype, composition):
    import dataclasses

    examples, texts, pixels = _material()
    stage = dataclasses.replace(stage, steps=2, batch_size=4, mixture={}, patience=None, warmup=0.0)
    adapting = "adapters" in stage.train
    finals = None if adapting else {p: t[-2:] for p, t in texts.deep.items()}
    shown, backbone = _shown(stage), composition.tower.backbone
    assert shown is (Shown.PIXELS if "tower" in stage.train else Shown.FEATURES)
    with torch.no_grad():
        images = pixels if shown is Shown.PIXELS else {name: backbone(efficientnet.normalise(p)) for name, p in pixels.items()}
    collate = Collate(images, texts, finals, {t: t for t in range(VOCABULARY)}, shown=shown)
    teacher = copy.deepcopy(composition.readout).eval().requires_grad_(False) if "agreement" in stage.loss else None
    loss = Answers(torch.arange(VOCABULARY), _Prompt(), FIRST, teacher)
    chosen = items(examples, {"s": 1.0})
    look = Development(loss, examples, dataclasses.replace(collate, draw=False))
    for fusion in composition.readout.fusions:
        if not fusion.out.weight.any():  # an untrained fusion hides what lies before it from the first gradient
            torch.nn.init.normal_(fusion.out.weight, std=0.05)
    before = {n: t.clone() for n, t in composition.state_dict().items()}
    # 'score' needs the data sets' names, so the small run looks at its own
    stage = dataclasses.replace(stage, metric="s closed")
    fit(stage, composition, Shuffled(chosen, 4, 0, collate=collate), loss, look, seed=1, dtype=dtype)
    moved = {n for n, t in composition.state_dict().items() if not torch.equal(t, before[n])}
    allowed = {
        "projector": ("tower.projectors.", "tower.norm."),
        "fusion": ("readout.fusions.",),
        "tower": ("tower.backbone.",),
        "adapters": ("lm.",),
    }
    for part, prefixes in allowed.items():
        touched = {n for n in moved if n.startswith(prefixes)}
        assert bool(touched) == (part in stage.train), (part, sorted(touched)[:3])
    assert all(".lora_" in n for n in moved if n.startswith("lm."))
    assert not {n for n in moved if not n.startswith(tuple(p for part in stage.train for p in allowed[part]))}


def test_the_published_stages_are_the_three_of_the_curriculum_in_order():
    names = [s.name for s in STAGES]
    assert names.index("alignment") < names.index("instruction") < names.index("specialisation")
    alignment = next(s for s in STAGES if s.name == "alignment")
    assert set(alignment.train) == {"projector", "fusion"}


@pytest.mark.parametrize("train", [("fusion", "projector"), ("fusion", "tower"), ("fusion", "adapters")])
def test_a_teacher_is_refused_where_what_it_is_shown_would_move(train):
    import dataclasses

    with pytest.raises(ConfigError, match="weighs agreement and moves"):
        _teacher(None, dataclasses.replace(CONSISTENT[0], train=train))
    assert _teacher(None, dataclasses.replace(STAGES[0], train=train)) is None
