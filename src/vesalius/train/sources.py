"""What a recipe's sources are made into: training examples, what is held out for development, and probes of steadiness.

In: a recipe and a data root. Out: `Example`s; no image is both trained on and held out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vesalius import config
from vesalius.domain.exchange import Split
from vesalius.errors import ConfigError
from vesalius.train import examples as material
from vesalius.train.examples import Example
from vesalius.train.instructions import instructions
from vesalius.train.options import SourceOptions
from vesalius.train.recipe import Recipe, Source

BLANK_PROBES = 100


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
            held_out += material.questions(source.dataset, root, Split.DEVELOPMENT, source=name, protocol=options.protocol, rights=options.rights)
        elif source.dataset == "nih-cxr":
            held_out += material.findings(root, Split.DEVELOPMENT, source=name, wordings=())
        elif source.dataset == "instructions":
            held_out += instructions(options.path, root, Split.DEVELOPMENT, source=name, rights=options.rights)
    overlap = {e.image for e in training} & {e.image for e in held_out}
    if overlap:
        raise ValueError(f"{len(overlap)} images are both trained on and held out, such as {min(overlap)}")
    return training, held_out


def probe(recipe: Recipe, root: Path, held_out: Sequence[Example]) -> list[Example]:
    """What the recipe's reworded sources and blanks are, made of the development part: groups of a question and its rewordings, and blank pictures."""
    found: list[Example] = []
    for name, source in recipe.sources.items():
        options = config.build(source.options, SourceOptions, where=f"sources.{name}.options")
        if options.originals and not options.rewordings:
            continue
        if source.dataset == "nih-cxr":
            found += material.findings(root, Split.DEVELOPMENT, source=name, wordings=options.wordings, pressures=options.pressures)
        else:
            own = material.questions(
                source.dataset,
                root,
                Split.DEVELOPMENT,
                source=name,
                rewordings=options.rewordings,
                seed=recipe.seed,
                protocol=options.protocol,
                families=options.families,
                pressures=options.pressures,
                rights=options.rights,
            )
            found += [e for e in own if e.group]
    for name, source in recipe.sources.items():
        if source.dataset == "blanks":
            found += material.blanks(held_out, source=name)[:BLANK_PROBES]
    return found


def _source(name: str, source: Source, options: SourceOptions, root: Path, seed: int, so_far: Sequence[Example]) -> list[Example]:
    match source.dataset:
        case "vqa-rad" | "slake":
            found = material.questions(
                source.dataset,
                root,
                Split.TRAIN,
                source=name,
                rewordings=options.rewordings,
                seed=seed,
                protocol=options.protocol,
                families=options.families,
                pairs=options.pairs,
                pressures=options.pressures,
                rights=options.rights,
            )
            found = found if options.originals else [e for e in found if e.reworded]
        case "nih-cxr":
            found = material.findings(root, Split.TRAIN, source=name, wordings=options.wordings, pressures=options.pressures)
            found = found if options.originals else [e for e in found if e.reworded]
        case "descriptions":
            found = material.descriptions(root, source=name)
        case "blanks":
            found = material.blanks(so_far, source=name)
        case "instructions":
            found = instructions(options.path, root, Split.TRAIN, source=name, rights=options.rights)
        case _:
            raise ConfigError(
                f"sources.{name}: no material is made of {source.dataset!r}", remedy="use vqa-rad, slake, nih-cxr, descriptions, instructions or blanks (last)"
            )
    return found[: source.limit] if source.limit else found
