"""The curriculum of `pocket`: alignment, instruction, specialisation, as a recipe states them.

In: a recipe and a data root. Out: weights, a training curve, a record of every step, provenance; everything can be stopped and resumed.
What is frozen in every stage (the tower's lower blocks, the language model's lower layers) is computed once and cached (`features`).
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import save_file
from torch import Tensor

from vesalius import config, provenance
from vesalius.data import augment, base
from vesalius.errors import ConfigError, WeightsError
from vesalius.models import efficientnet, llama, pocket, weights
from vesalius.models.composition import Composition, Prompt
from vesalius.models.precedents import Precedents
from vesalius.train import examples as material
from vesalius.train import permission, precedents
from vesalius.train import recipe as recipes
from vesalius.train.batches import Collate, ImageItem, Shown, items
from vesalius.train.checkpoint import Checkpoints
from vesalius.train.curve import Evaluation, Log, Step, draw
from vesalius.train.development import Development
from vesalius.train.examples import Example
from vesalius.train.features import Seen, Texts, final_states, image_features, pictures, text_features
from vesalius.train.loop import fit, native_bfloat16
from vesalius.train.objectives import Answers
from vesalius.train.options import ModelOptions, SourceOptions
from vesalius.train.order import Shuffled
from vesalius.train.progress import Progress
from vesalius.train.recipe import Recipe, Stage
from vesalius.train.sources import gather, probe
from vesalius.train.variants import Variants, of_examples

ADAPTERS = "adapters"
OWN_QUESTIONS = ("vqa-rad", "slake", "nih-cxr", "instructions")  # sources with labelled questions; others are made of attributes


@dataclasses.dataclass(frozen=True, eq=False)
class Course:
    """Everything the stages share.

    Args:
        probes: rewordings of held-out questions, and held-out questions put to blank pictures. shown: images as pixels. seen: as features.
        variants: what a policy makes of training pictures. remembered: precedents of the weights that the training started from.
    """

    recipe: Recipe
    composition: Composition
    prompt: Prompt
    training: Sequence[Example]
    held_out: Sequence[Example]
    probes: Sequence[Example]
    shown: Mapping[str, Tensor]
    seen: Seen
    texts: Texts
    candidates: Tensor
    language_model: str
    cache: Path
    device: torch.device
    remembered: Precedents | None = None
    variants: Variants | None = None


def run(path: str | Path, *, overrides: Sequence[str] = (), resume: bool = False, data: str | Path | None = None, device: str | None = None) -> Path:
    """Train by a recipe.

    Args:
        path: the recipe. overrides: texts `key=value`. resume: go on where a run into the same folder stopped. data: the data root.
        device: to compute on; None takes a GPU when there is one.

    Returns:
        The folder with `pocket.safetensors`, `about.json`, `curve.png`, `log.jsonl` and `provenance.json`.

    Raises:
        ConfigError, UnknownName: the recipe or its policy of augmentation; a folder that holds a run while `resume` is not given.
        InvalidValue: a picture cannot be augmented; NotForTraining, which is one: a card forbids it.
        DataMissing: a data set is absent.
        InterruptedWork: stopped; nothing is lost.
    """
    recipe = recipes.read(path, overrides=overrides)
    if recipe.model != "pocket":
        raise ConfigError(f"{path}: there is no curriculum for the model {recipe.model!r}", remedy="set model = 'pocket'")
    root = base.data_root(data or recipe.data)
    where = find_device(device)
    started = time.monotonic()
    out = recipe.output
    if (out / "log.jsonl").exists() and not resume:
        raise ConfigError(f"{out}: holds a run already", remedy="add --resume to go on with it, or set another output")
    with Progress() as progress:
        course = prepare(recipe, root, progress.note, where)
        out.mkdir(parents=True, exist_ok=True)  # not before: a recipe that cannot be followed leaves nothing behind
        with Log(out / "log.jsonl") as log:
            for stage in recipe.stages:
                _stage(course, stage, log, progress)
        if config.build(recipe.model_options, ModelOptions, where="model_options").precedents:
            _remember(course, progress.note)
    export(course.composition, out, recipe, spoken(course.texts), data_hash=_data_hash(course), started=started, device=where, variants=course.variants)
    draw(out / "log.jsonl", out / "curve.png")
    return out


def find_device(name: str | None) -> torch.device:
    """The device of this name, or the best there is.

    Raises:
        ConfigError: there is no such device.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"the device {name!r} cannot be used: {str(error).splitlines()[0]}", remedy="name cpu, cuda or cuda:N, or leave it out") from error
    return device


def prepare(recipe: Recipe, root: Path, tell: Callable[[str], None], device: torch.device) -> Course:
    """Build the model, gather the examples, compute what is frozen."""
    from tokenizers import Tokenizer

    options, blank = config.build(recipe.model_options, ModelOptions, where="model_options"), f"{material.BLANK}{pocket.BLIND / 255}"
    for name, source in recipe.sources.items():
        own = config.build(source.options, SourceOptions, where=f"sources.{name}.options")  # a mistake is told before anything is loaded
        permission.check_sets([source.dataset], own.rights)
    policy = _policy(recipe, options)
    folder = weights.language_model()
    torch.manual_seed(recipe.seed)
    tower = efficientnet.load()
    composition = pocket.adapt(pocket.build(llama.load(folder, dtype=torch.float32), tower, dropout=options.dropout))
    remembered = _started(composition, options.start) if options.start else None
    composition.to(device)
    prompt = Prompt(Tokenizer.from_file(str(folder / "tokenizer.json")), pocket.TEMPLATE)
    training, held_out = gather(recipe, root)
    probes = probe(recipe, root, held_out)
    cache = weights.cache_directory() / "features"
    tell(f"{len(training):,} examples to train on, {len(held_out):,} held out for development")
    views = {e.image: 0 for e in held_out} | {e.image: 0 if e.image.startswith(material.BLANK) else options.views for e in training}
    views |= {e.image: 0 for e in probes if e.image not in views}
    variants = None
    if policy is not None and recipe.augment is not None:
        variants = of_examples(policy, recipe.augment.views, recipe.seed, root, training, (*held_out, *probes))
        views |= dict.fromkeys(variants.subjects, variants.views)
        tell(f"policy {policy.name!r} ({policy.digest[:12]}): {variants.views} variants of each of {len(variants.subjects):,} training pictures")
    shown = pictures([blank] if options.blind else views, root)
    images = image_features({blank: 0} if options.blind else views, shown, root, tower, cache, tell, variants)
    if options.blind:
        images, shown = dict.fromkeys(views, images[blank]), dict.fromkeys(views, shown[blank])
    pairs = sorted({(e.question, e.answer) for e in (*training, *held_out, *probes)})
    name = provenance.sha256_file(folder / "model.safetensors")
    texts = text_features(pairs, composition, prompt, pocket.FIRST_ADAPTED, name, cache, tell)
    words = torch.stack([texts.words[q] for q in sorted({e.question for e in training})]).float().to(device)
    for fusion in cast(Any, composition.readout).fusions if not options.start else ():
        fusion.norm_words.fit(words)
    seen = Seen(images, shown, tower, variants)
    return Course(recipe, composition, prompt, training, held_out, probes, shown, seen, texts, spoken(texts), name, cache, device, remembered, variants)


def _policy(recipe: Recipe, options: ModelOptions) -> augment.MedicalAugmentation | None:
    """How training pictures are varied; None where the recipe does not say.

    Raises:
        ConfigError: the model's options vary the pictures too, or show none. Else as `augment.named`.
    """
    if recipe.augment is None:
        return None
    for name, given in (("views", options.views > 0), ("blind", options.blind)):
        if given:
            raise ConfigError(f"model_options: {name} and [augment] exclude one another", remedy=f"leave out model_options.{name} or [augment]")
    return augment.named(recipe.augment.policy)


def _started(composition: Composition, start: str) -> Precedents | None:
    """Put weights of an earlier training into place; returns its precedents, which a teacher has and a learner has not.

    Raises:
        WeightsError: they cannot be read, or do not fit.
    """
    folder = _start_folder(start)
    if not (folder / "pocket.safetensors").is_file():
        raise WeightsError(f"start = {start!r}: there is no pocket.safetensors", remedy='train those weights first, or set start = "shipped"')
    state = pocket.read_shipped(folder)
    del state[pocket.VOCABULARY]
    remembered = pocket.remembered(state)
    readout = cast(Any, composition.readout)
    readout.precedents = remembered
    problems = composition.load_state_dict(state, strict=False)
    readout.precedents = None
    absent = [n for n in problems.missing_keys if not n.startswith("lm.")]
    if absent or problems.unexpected_keys:
        wrong = (absent + list(problems.unexpected_keys))[0]
        raise WeightsError(f"the weights of {start!r} do not fit (first at {wrong!r})", remedy="give the folder of a training of pocket")
    return remembered


def _start_folder(start: str) -> Path:
    return pocket.SHIPPED if start == "shipped" else Path(start)


def spoken(texts: Texts) -> Tensor:
    """Ids of every token that occurs in an answer, sorted."""
    return torch.tensor(sorted({t for ids in texts.targets.values() for t in ids}))


def _stage(course: Course, stage: Stage, log: Log, progress: Progress) -> None:
    adapting = ADAPTERS in stage.train
    finals = None if adapting else final_states(course.texts, course.composition, pocket.FIRST_ADAPTED, course.language_model, course.cache, progress.note)
    options = config.build(course.recipe.model_options, ModelOptions, where="model_options")
    index = {int(t): i for i, t in enumerate(course.candidates)}
    shown = _shown(stage)
    how = {"most": options.wordings, "together": options.together, "borrow": options.borrow}
    collate = Collate(_images(course, shown), course.texts, finals, index, shown=shown, variants=course.variants, **how)  # type: ignore[arg-type]
    mixture = stage.mixture or dict.fromkeys(course.recipe.sources, 1.0)
    chosen: list[ImageItem] = items(course.training, mixture)
    name = _fingerprint(chosen) + ("" if course.variants is None else course.variants.fingerprint)
    batches = Shuffled(chosen, stage.batch_size, course.recipe.seed, collate=collate, by_epoch=collate.at, name=name)
    loss = Answers(course.candidates, course.prompt, pocket.FIRST_ADAPTED, _teacher(course, stage))
    look = Development(loss, course.held_out, dataclasses.replace(collate, draw=False), course.probes)

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
        device=course.device,
        dtype=native_bfloat16(course.device),
        seed=course.recipe.seed,
    )


def _teacher(course: Course, stage: Stage) -> pocket.Reading | None:
    """The readout as it was when the stage began, with the precedents of the start; None when the stage does not weigh `agreement`.

    Raises:
        ConfigError: something moves in front of the readout, so that the teacher would be shown what it was not taught on.
    """
    if "agreement" not in stage.loss:
        return None
    if stage.train != ("fusion",):
        raise ConfigError(f"stage {stage.name!r}: weighs agreement and moves {', '.join(stage.train)}", remedy="let only 'fusion' move, or leave agreement out")
    teacher = copy.deepcopy(cast(pocket.Reading, course.composition.readout))
    teacher.precedents = course.remembered
    return teacher.to(course.device).eval().requires_grad_(False)


def _shown(stage: Stage) -> Shown:
    """As far as what stands still in the stage can take an image beforehand."""
    moving = [part for part in stage.train if part.startswith("tower")]
    if not moving:
        return Shown.FEATURES
    return Shown.LOWER if moving == ["tower.last"] else Shown.PIXELS


def _images(course: Course, shown: Shown) -> Mapping[str, Tensor]:
    """Image to [views, ...] as the stage gets it."""
    tower: Any = course.composition.tower
    match shown:
        case Shown.FEATURES:
            return course.seen.by(tower.backbone)
        case Shown.LOWER:
            if course.seen.moved(tower.backbone):
                raise ConfigError("the part 'tower.last' cannot be trained after 'tower'", remedy="train 'tower' in that stage too")
            return course.seen.lower
        case Shown.PIXELS:
            return {name: pixels[None] for name, pixels in course.shown.items()}


@torch.inference_mode()
def _remember(course: Course, tell: Callable[[str], None]) -> None:
    """Fit the precedents on the training part, put them beside the fusions, weigh them on the development part."""
    module, readout = course.composition, cast(Any, course.composition.readout)
    loss = Answers(course.candidates, course.prompt, pocket.FIRST_ADAPTED)
    own = {name for name, source in course.recipe.sources.items() if source.dataset in OWN_QUESTIONS}
    features = course.seen.by(cast(Any, module.tower).backbone)
    said = [e for e in course.training if e.source in own and not e.reworded and not e.image.startswith(material.BLANK)]
    head, (yes, no) = cast(Any, module.lm).lm_head, loss.wordings()
    turned = config.build(course.recipe.model_options, ModelOptions, where="model_options").turned
    ways = {e.question: e.polarity for e in course.training if e.closed and e.source in own} if turned else None
    made = precedents.fit(said, (head.weight[yes].mean(0) - head.weight[no].mean(0)).cpu(), course.texts.words, features, ways=ways)
    finals = final_states(course.texts, module, pocket.FIRST_ADAPTED, course.language_model, course.cache, tell)
    collate = Collate(features, course.texts, finals, {int(t): i for i, t in enumerate(course.candidates)}, draw=False, shown=Shown.FEATURES)
    module.eval()
    ratio = _same_spread(course, loss, made, collate)
    readout.precedents = made.to(course.device)
    # they are there to be right: by `trust` no share of the weight differs from another by more than a hundredth, unless they know negations
    look, scores = Development(loss, course.held_out, collate, course.probes if turned else ()), {}
    for share in precedents.SHARES:
        made.weight.fill_(share * ratio)
        scores[share] = look(module)["trust" if turned else "score"]
    best = max(scores, key=lambda share: scores[share])
    made.weight.fill_(best * ratio)
    if not best:
        readout.precedents = None
    told = ", ".join(f"{share:g} of it {score:.4f}" for share, score in scores.items())
    tell(f"{len(made.asked):,} questions and {len(made.shown):,} images are remembered; same spread at weight {ratio:.3g}: {told}; {best:g} is taken")


def _same_spread(course: Course, loss: Answers, made: Precedents, collate: Collate) -> float:
    """The weight under which the precedents' margins vary as the fusions' on the development part."""
    fused, margins, groups = [], [], []
    closed = [e for e in course.held_out if e.closed]
    for item in items(closed, {e.source: 1.0 for e in closed}):
        batch = collate([item])
        states, first = loss.fused(course.composition, batch.to(course.device))
        fused.append(loss.margin(course.composition, states[first]).cpu())
        margins.append(made(batch.words, collate.features[item.image][:1].float().mean(1)))
        groups += [e.source for e in item.examples]
    return precedents.same_spread(torch.cat(fused), torch.cat(margins), groups)


def export(
    composition: Composition,
    out: Path,
    recipe: Recipe,
    vocabulary: Tensor,
    *,
    data_hash: str,
    started: float,
    device: torch.device,
    variants: Variants | None = None,
) -> Path:
    """Write what moved, in half precision, with the tokens that answers are made of, and what it was all made from."""
    kept = {n: t for n, t in composition.state_dict().items() if not n.startswith("lm.") or ".lora_" in n}
    kept[pocket.VOCABULARY] = vocabulary
    path = out / "pocket.safetensors"
    save_file({n: _stored(t) for n, t in kept.items()}, path)
    made = provenance.record(seed=recipe.seed, data_hash=data_hash, config=recipe).finished(started)
    blind = bool(recipe.model_options.get("blind", False))
    about: dict[str, Any] = {"blind": True} if blind else {}
    start = str(recipe.model_options.get("start", ""))
    if start:
        about["start"] = provenance.sha256_file(_start_folder(start) / "pocket.safetensors")
    if variants is not None:
        about["augment"] = variants.to_json()
    about |= {"sha256": provenance.sha256_file(path), "bytes": path.stat().st_size, "device": _device_name(device), "provenance": made.to_json()}
    (out / "about.json").write_text(json.dumps(about, indent=1, default=str) + "\n", encoding="utf-8")
    return path


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def _stored(tensor: Tensor) -> Tensor:
    """Matrices in half precision; vectors as they are, since statistics of a language model's states span more than half precision can."""
    half = tensor.is_floating_point() and tensor.dim() > 1
    return (tensor.half() if half else tensor).cpu().contiguous()


def _fingerprint(chosen: Sequence[ImageItem]) -> str:
    return hashlib.sha256(repr(chosen).encode()).hexdigest()


def _data_hash(course: Course) -> str:
    return hashlib.sha256(repr([(e.image, e.question, e.answer) for e in course.training]).encode()).hexdigest()
