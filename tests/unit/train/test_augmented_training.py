"""A whole training with a policy of augmentation, on random weights: what each epoch sees, after a kill too, and what is recorded."""

import functools
import hashlib
import json

import pytest
import torch

from tests.invariant import tiny
from tests.unit.instruct.mix import roots
from tests.unit.instruct.mix.roots import file, row
from vesalius.data import augment
from vesalius.domain.exchange import Split
from vesalius.errors import ConfigError, UnknownName
from vesalius.models import efficientnet, llama, pocket
from vesalius.train import curriculum
from vesalius.train import recipe as recipes
from vesalius.train.batches import Collate, Shown

RECIPE = """
name = "tiny"
model = "pocket"
seed = 5
[model_options]
precedents = false
[augment]
policy = "everyday"
views = 2
[sources.mine]
dataset = "instructions"
options = {{ path = "{path}" }}
[[stages]]
name = "alignment"
train = ["projector", "fusion"]
learning_rate = 1e-3
epochs = 3
batch_size = 2
checkpoint_every = 3
metric = "score"
lower_is_better = false
[[stages]]
name = "specialisation"
train = ["fusion", "tower"]
learning_rate = 1e-4
epochs = 3
batch_size = 2
checkpoint_every = 3
metric = "score"
lower_is_better = false
"""


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A data root with three training pictures and one that is held out, a recipe, and the files of a language model."""
    folder = tmp_path_factory.mktemp("augmented")
    root = folder / "data"
    roots.rows(root, 8)  # own/0.png to own/3.png
    rows = [row(f"r:{n}", f"own/{n // 2}.png", f"Is there a mass {n} ?", ("yes", "no")[n % 2], cluster=f"c{n // 2}") for n in range(6)]
    rows += [row(f"h:{n}", "own/3.png", f"Is there a mass {n} ?", ("yes", "no")[n], split=Split.DEVELOPMENT, cluster="c3") for n in range(2)]
    (folder / "recipe.toml").write_text(RECIPE.format(path=file(folder / "rows.jsonl", rows)))
    (folder / "lm").mkdir()
    tiny.tokenizer().save(str(folder / "lm/tokenizer.json"))
    (folder / "lm/model.safetensors").write_bytes(b"random")
    return folder


def tower():
    torch.manual_seed(2)
    made = efficientnet.EfficientNetLite0()
    for part in made.modules():
        if isinstance(part, torch.nn.Conv2d):  # else what it sees is nothing in half precision
            torch.nn.init.kaiming_normal_(part.weight)
    return made.eval()


def language_model(*_args, **_how):
    torch.manual_seed(3)
    return llama.Llama(llama.Shape(64, pocket.WIDTH, 8, pocket.FIRST_ADAPTED + 1, 3, 1, 16, 512, 1e5, 1e-5, tied=True)).eval()


@pytest.fixture
def small(place, monkeypatch):
    made_small(place, monkeypatch)


def made_small(place, patch):
    patch.setattr(pocket, "TEMPLATE", tiny.TEMPLATE)
    patch.setattr(pocket, "FIRST_ADAPTED", pocket.LISTENS + 1)
    patch.setattr(pocket, "WIDTH", 48)
    patch.setattr(efficientnet, "Preparation", functools.partial(efficientnet.Preparation, 64))
    patch.setattr(efficientnet, "load", tower)
    patch.setattr(llama, "load", language_model)
    patch.setattr(curriculum.weights, "language_model", lambda: place / "lm")
    patch.setattr(curriculum, "draw", lambda *_: None)
    patch.setenv("VESALIUS_CACHE", str(place / "cache"))


def watched(patch):
    """What every batch showed: whether it trains, how far the picture has come, epoch, picture, hash of what was shown."""
    told = []
    make = Collate.__call__

    def collate(self, chosen):
        batch = make(self, chosen)
        for item, image in zip(chosen, batch.image, strict=True):
            told.append((self.draw, self.shown, self.epoch, item.image, digest(image)))
        return batch

    patch.setattr(Collate, "__call__", collate)
    return told


def digest(pixels):
    return hashlib.sha256(pixels.contiguous().numpy().tobytes()).hexdigest()


def train(place, out, *more, resume=False):
    given = [f"output={json.dumps(str(out))}", *more]
    return curriculum.run(place / "recipe.toml", overrides=given, resume=resume, data=place / "data", device="cpu")


@pytest.fixture(scope="module")
def whole(place):
    """A run from beginning to end: its folder, and what was shown."""
    with pytest.MonkeyPatch.context() as patch:
        made_small(place, patch)
        told = watched(patch)
        return train(place, place / "whole"), told


def trained(told):
    return {(shown, name, epoch): pixels for trains, shown, epoch, name, pixels in told if trains}


def losses(out):
    """The last line of each step counts: a resumed run writes those since its checkpoint again."""
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return {(r["stage"], r["step"]): r["loss"] for r in rows if "loss" in r}


@pytest.mark.parametrize("shown", [Shown.FEATURES, Shown.PIXELS])
def test_each_epoch_sees_another_variant_and_they_come_in_turn(whole, shown):
    seen = trained(whole[1])
    for name in ("own/0.png", "own/1.png", "own/2.png"):
        first, second, third = (seen[shown, name, epoch] for epoch in range(3))
        assert first != second
        assert third == first  # two views


def test_the_development_part_is_shown_as_it_is(place, whole, small):
    held = {(shown, name, pixels) for trains, shown, _, name, pixels in whole[1] if not trains}
    assert {name for _, name, _ in held} == {"own/3.png"}
    plain = curriculum.pictures(["own/3.png"], place / "data")["own/3.png"]
    assert [pixels for shown, _, pixels in held if shown is Shown.PIXELS] == [digest(plain)]


def test_policy_and_digest_are_in_the_record(whole):
    about = json.loads((whole[0] / "about.json").read_text())
    told = about["augment"]
    assert (told["policy"], told["digest"], told["views"], told["pictures"]) == ("everyday", augment.named("everyday").digest, 2, 3)
    assert told["settings"]["strength"] == 0.7
    assert about["provenance"]["config"]["augment"] == {"policy": "everyday", "views": 2}


def test_a_run_that_was_killed_inside_an_epoch_sees_the_same_pictures(place, whole, small, tmp_path, monkeypatch):
    told = watched(monkeypatch)
    record, alive = Collate.__call__, ["the last batch", "the first batch"]

    def dies(self, chosen):
        if self.draw and self.shown is Shown.PIXELS and self.epoch == 1 and "last" in alive.pop():
            raise Killed
        return record(self, chosen)

    with monkeypatch.context() as killing:
        killing.setattr(Collate, "__call__", dies)
        with pytest.raises(Killed):
            train(place, tmp_path / "out")
    assert not (tmp_path / "out/about.json").exists()
    out = train(place, tmp_path / "out", resume=True)
    assert trained(told) == trained(whole[1])
    assert losses(out) == losses(whole[0])
    assert (out / "pocket.safetensors").read_bytes() == (whole[0] / "pocket.safetensors").read_bytes()


def test_a_run_does_not_go_on_with_another_policy(place, whole, small, tmp_path):
    (tmp_path / "other.toml").write_text("strength = 0.5\n[[operation]]\nname = 'rotation'\n")
    for other in ("augment.views=3", f"augment.policy={json.dumps(str(tmp_path / 'other.toml'))}"):
        with pytest.raises(ConfigError, match="made with"):
            train(place, whole[0], other, resume=True)


@pytest.mark.parametrize(
    ("policy", "kind", "says"),
    [
        ("everyday's", UnknownName, "did you mean 'everyday'"),
        ("nowhere.toml", ConfigError, "give the path of an existing TOML file"),
    ],
)
def test_a_policy_that_is_not_there_is_told_in_a_sentence_before_anything_is_loaded(place, tmp_path, policy, kind, says):
    with pytest.raises(kind, match=says) as told:
        train(place, tmp_path / "out", f"augment.policy={json.dumps(policy)}")
    assert policy in str(told.value)
    assert not (tmp_path / "out").exists()


def test_a_policy_beside_other_views_or_blind_pictures_is_refused(place, tmp_path):
    for option in ("views=2", "blind=true"):
        with pytest.raises(ConfigError, match="exclude one another"):
            train(place, tmp_path / "out", f"model_options.{option}")
    with pytest.raises(ConfigError, match="views = 0 is below 1"):
        recipes.read(place / "recipe.toml", overrides=["augment.views=0"])
