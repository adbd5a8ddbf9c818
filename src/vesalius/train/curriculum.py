"""The curriculum of `pocket`: alignment, instruction, specialisation, as a recipe states them.

In: a recipe and a data root. Out: weights, a training curve, a record of every step, provenance; everything can be stopped and resumed.
What is frozen in every stage (the tower's lower blocks, the language model's lower layers) is computed once and cached (`features`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import save_file
from torch import Tensor

from vesalius import config, provenance
from vesalius.data import base
from vesalius.domain.exchange import Split
from vesalius.errors import ConfigError
from vesalius.models import efficientnet, llama, pocket, weights
from vesalius.models.composition import Composition, Prompt
from vesalius.train import examples as material
from vesalius.train import precedents
from vesalius.train import recipe as recipes
from vesalius.train.batches import Collate, ImageItem, items
from vesalius.train.checkpoint import Checkpoints
from vesalius.train.curve import Evaluation, Log, Step, draw
from vesalius.train.examples import Example
from vesalius.train.features import Seen, Texts, final_states, image_features, text_features
from vesalius.train.loop import fit
from vesalius.train.objectives import Answers, development
from vesalius.train.order import Shuffled
from vesalius.train.progress import Progress
from vesalius.train.recipe import Recipe, Source, Stage

ADAPTERS = "adapters"
OWN_QUESTIONS = ("vqa-rad", "slake", "nih-cxr")  # data sets with labelled questions; other sources are made of their attributes


@dataclasses.dataclass(frozen=True)
class SourceOptions:
    """What a source of the curriculum may state.

    Args:
        rewordings: of each yes/no question of vqa-rad and slake. originals: whether the questions themselves are part of the source.
        wordings: numbers of `templates.finding_questions`, for nih-cxr. protocol: of the data set's split.
    """

    rewordings: int = 0
    originals: bool = True
    wordings: tuple[int, ...] = (0, 1, 2, 5, 7)
    protocol: str | None = None


@dataclasses.dataclass(frozen=True)
class ModelOptions:
    """What the recipe may state of the model.

    Args:
        dropout: of the fusion. wordings: of one image in a batch. views: other views of each training image.
        blind: every image is one grey level, in training and ever after: what the questions alone teach.
    """

    dropout: float = 0.3
    wordings: int = 12
    views: int = 4
    blind: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Course:
    """Everything the stages share."""

    recipe: Recipe
    composition: Composition
    prompt: Prompt
    training: Sequence[Example]
    held_out: Sequence[Example]
    images: Seen
    texts: Texts
    candidates: Tensor
    language_model: str
    cache: Path


def run(path: str | Path, *, overrides: Sequence[str] = (), resume: bool = False, data: str | Path | None = None) -> Path:
    """Train by a recipe.

    Args:
        path: the recipe. overrides: texts `key=value`. resume: go on where a run into the same folder stopped. data: the data root.

    Returns:
        The folder with `pocket.safetensors`, `about.json`, `curve.png`, `log.jsonl` and `provenance.json`.

    Raises:
        ConfigError: the recipe; a folder that holds a run while `resume` is not given.
        DataMissing: a data set is absent.
        InterruptedWork: stopped; nothing is lost.
    """
    recipe = recipes.read(path, overrides=overrides)
    if recipe.model != "pocket":
        raise ConfigError(f"{path}: there is no curriculum for the model {recipe.model!r}", remedy="set model = 'pocket'")
    root = base.data_root(data or recipe.data)
    started = time.monotonic()
    out = recipe.output
    if (out / "log.jsonl").exists() and not resume:
        raise ConfigError(f"{out}: holds a run already", remedy="add --resume to go on with it, or set another output")
    with Progress() as progress:
        course = prepare(recipe, root, progress.note)
        out.mkdir(parents=True, exist_ok=True)  # not before: a recipe that cannot be followed leaves nothing behind
        with Log(out / "log.jsonl") as log:
            for stage in recipe.stages:
                _stage(course, stage, log, progress)
        _remember(course, progress.note)
    export(course.composition, out, recipe, spoken(course.texts), data_hash=_data_hash(course), started=started)
    draw(out / "log.jsonl", out / "curve.png")
    return out


def prepare(recipe: Recipe, root: Path, tell: Callable[[str], None]) -> Course:
    """Build the model, gather the examples, compute what is frozen."""
    from tokenizers import Tokenizer

    options, blank = config.build(recipe.model_options, ModelOptions, where="model_options"), f"{material.BLANK}{pocket.BLIND / 255}"
    folder = weights.language_model()
    torch.manual_seed(recipe.seed)
    tower = efficientnet.load()
    composition = pocket.adapt(pocket.build(llama.load(folder, dtype=torch.float32), tower, dropout=options.dropout))
    prompt = Prompt(Tokenizer.from_file(str(folder / "tokenizer.json")), pocket.TEMPLATE)
    training, held_out = gather(recipe, root)
    cache = weights.cache_directory() / "features"
    tell(f"{len(training):,} examples to train on, {len(held_out):,} held out for development")
    views = {e.image: 0 for e in held_out} | {e.image: 0 if e.image.startswith(material.BLANK) else options.views for e in training}
    images = image_features(views if not options.blind else {blank: 0}, root, tower, cache, tell)
    if options.blind:
        images = dict.fromkeys(views, images[blank])
    pairs = sorted({(e.question, e.answer) for e in (*training, *held_out)})
    name = provenance.sha256_file(folder / "model.safetensors")
    texts = text_features(pairs, composition, prompt, pocket.FIRST_ADAPTED, name, cache, tell)
    readout: Any = composition.readout
    readout.fusion.norm_words.fit(torch.stack([texts.words[q] for q in sorted({e.question for e in training})]).float())
    pictures = Seen(images)
    return Course(recipe, composition, prompt, training, held_out, pictures, texts, spoken(texts), name, cache)


def gather(recipe: Recipe, root: Path) -> tuple[list[Example], list[Example]]:
    """Training examples of all sources, and the development parts of those that have questions of their own."""
    training: list[Example] = []
    held_out: list[Example] = []
    for name, source in recipe.sources.items():
        options = config.build(source.options, SourceOptions, where=f"sources.{name}.options")
        training += _source(name, source, options, root, recipe.seed, training)
        if not options.originals:
            continue
        if source.dataset in ("vqa-rad", "slake"):
            held_out += material.questions(source.dataset, root, Split.DEVELOPMENT, source=name, protocol=options.protocol)
        elif source.dataset == "nih-cxr":
            held_out += material.findings(root, Split.DEVELOPMENT, source=name, wordings=())
    overlap = {e.image for e in training} & {e.image for e in held_out}
    if overlap:
        raise ValueError(f"{len(overlap)} images are both trained on and held out, such as {min(overlap)}")
    return training, held_out


def _source(name: str, source: Source, options: SourceOptions, root: Path, seed: int, so_far: Sequence[Example]) -> list[Example]:
    match source.dataset:
        case "vqa-rad" | "slake":
            found = material.questions(source.dataset, root, Split.TRAIN, source=name, rewordings=options.rewordings, seed=seed, protocol=options.protocol)
            found = found if options.originals else [e for e in found if e.reworded]
        case "nih-cxr":
            found = material.findings(root, Split.TRAIN, source=name, wordings=options.wordings)
            found = found if options.originals else [e for e in found if e.reworded]
        case "descriptions":
            found = material.descriptions(root, source=name)
        case "blanks":
            found = material.blanks(so_far, source=name)
        case _:
            raise ConfigError(f"sources.{name}: no material is made of {source.dataset!r}", remedy="use vqa-rad, slake, nih-cxr, descriptions or blanks (last)")
    return found[: source.limit] if source.limit else found


def spoken(texts: Texts) -> Tensor:
    """Ids of every token that occurs in an answer, sorted."""
    return torch.tensor(sorted({t for ids in texts.targets.values() for t in ids}))


def _stage(course: Course, stage: Stage, log: Log, progress: Progress) -> None:
    adapting = ADAPTERS in stage.train
    finals = None if adapting else final_states(course.texts, course.composition, pocket.FIRST_ADAPTED, course.language_model, course.cache, progress.note)
    options = config.build(course.recipe.model_options, ModelOptions, where="model_options")
    index = {int(t): i for i, t in enumerate(course.candidates)}
    tower: Any = course.composition.tower
    still = not any(part.startswith("tower") for part in stage.train)
    pictures = course.images.by(tower.backbone) if still else course.images.lower
    collate = Collate(pictures, course.texts, finals, index, most=options.wordings, seen=still)
    mixture = stage.mixture or dict.fromkeys(course.recipe.sources, 1.0)
    chosen: list[ImageItem] = items(course.training, mixture)
    batches = Shuffled(chosen, stage.batch_size, course.recipe.seed, collate=collate, name=_fingerprint(chosen))
    loss = Answers(course.candidates, course.prompt, pocket.FIRST_ADAPTED)
    held = items(course.held_out, {e.source: 1.0 for e in course.held_out})
    look = development(loss, held, dataclasses.replace(collate, draw=False))

    def on_step(step: Step) -> None:
        log.write(step)
        progress.step(step)

    def on_evaluation(look: Evaluation) -> None:
        log.write(look)
        progress.evaluation(look)

    checkpoints = Checkpoints(course.recipe.output / "checkpoints" / stage.name)
    fit(
        stage,
        course.composition,
        batches,
        loss,
        look,
        checkpoints.latest(),
        checkpoints=checkpoints,
        on_step=on_step,
        on_evaluation=on_evaluation,
        seed=course.recipe.seed,
    )


@torch.inference_mode()
def _remember(course: Course, tell: Callable[[str], None]) -> None:
    """Fit the precedents on the training part, weigh them on the development part, put them beside the fusion."""
    module, prompt = course.composition, course.prompt
    readout, tower, head = cast(Any, module.readout), cast(Any, module.tower), cast(Any, module.lm).lm_head
    loss = Answers(course.candidates, prompt, pocket.FIRST_ADAPTED)
    own = {name for name, source in course.recipe.sources.items() if source.dataset in OWN_QUESTIONS}
    features = course.images.by(tower.backbone)
    said = [e for e in course.training if e.source in own and not e.reworded and not e.image.startswith(material.BLANK)]
    yes, no = loss.wordings()
    made = precedents.fit(said, head.weight[yes].mean(0) - head.weight[no].mean(0), course.texts.words, features)
    closed = [e for e in course.held_out if e.closed]
    finals = final_states(course.texts, module, pocket.FIRST_ADAPTED, course.language_model, course.cache, tell)
    index = {int(t): i for i, t in enumerate(course.candidates)}
    collate = Collate(features, course.texts, finals, index, draw=False, seen=True)
    module.eval()
    fused, margins, groups = [], [], []
    for item in items(closed, {e.source: 1.0 for e in closed}):
        batch = collate([item])
        states, first = loss.fused(module, batch)
        fused.append(loss.margin(module, states[first]))
        margins.append(made(batch.words, features[item.image][:1].float().mean(1)))
        groups += [e.source for e in item.examples]
    made.weight.fill_(precedents.weigh(torch.cat(fused), torch.cat(margins), groups))
    tell(f"{len(made.asked):,} questions and {len(made.shown):,} images are remembered; their margin weighs {float(made.weight):g}")
    readout.precedents = made


def export(composition: Composition, out: Path, recipe: Recipe, vocabulary: Tensor, *, data_hash: str, started: float) -> Path:
    """Write what moved, in half precision, with the tokens that answers are made of, and what it was all made from."""
    kept = {n: t for n, t in composition.state_dict().items() if not n.startswith("lm.") or ".lora_" in n}
    kept[pocket.VOCABULARY] = vocabulary
    path = out / "pocket.safetensors"
    save_file({n: _stored(t) for n, t in kept.items()}, path)
    made = provenance.record(seed=recipe.seed, data_hash=data_hash, config=recipe).finished(started)
    blind = bool(recipe.model_options.get("blind", False))
    about: dict[str, Any] = {"blind": True} if blind else {}
    about |= {"sha256": provenance.sha256_file(path), "bytes": path.stat().st_size, "provenance": made.to_json()}
    (out / "about.json").write_text(json.dumps(about, indent=1, default=str) + "\n", encoding="utf-8")
    return path


def _stored(tensor: Tensor) -> Tensor:
    """Matrices in half precision; vectors as they are, since statistics of a language model's states span more than half precision can."""
    half = tensor.is_floating_point() and tensor.dim() > 1
    return (tensor.half() if half else tensor).contiguous()


def _fingerprint(chosen: Sequence[ImageItem]) -> str:
    return hashlib.sha256(repr(chosen).encode()).hexdigest()


def _data_hash(course: Course) -> str:
    return hashlib.sha256(repr([(e.image, e.question, e.answer) for e in course.training]).encode()).hexdigest()
