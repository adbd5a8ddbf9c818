"""A reader by names: the model from the table, the policy from its file, other patients from a data root.

In: what a command line or a first call knows. Out: a `Reader`. A model is loaded once in a process.
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

from vesalius import formats
from vesalius.data import base
from vesalius.data.phantoms import Bank, FileBank, PhantomBank
from vesalius.domain.exchange import Split
from vesalius.domain.study import Image, Modality
from vesalius.errors import DataMissing
from vesalius.models import cards
from vesalius.models.base import GenerativeModel
from vesalius.reader.questioning import Progress, Reader
from vesalius.safety.policy import default_policy, read_policy


@dataclasses.dataclass(frozen=True)
class _RealFirst:
    """Real patients where the data root has some of the kind, drawn ones elsewhere."""

    real: FileBank
    drawn: PhantomBank = dataclasses.field(default_factory=PhantomBank)

    def candidates(self, modality: Modality, region: str) -> tuple[str, ...]:
        return self.real.candidates(modality, region) or self.drawn.candidates(modality, region)

    def image(self, key: str) -> Image:
        return self.real.image(key) if key in self.real.images else self.drawn.image(key)


def bank_of(root: Path) -> Bank:
    """Training images of every data set below a data root whose kind is known, and drawn patients for all other kinds.

    A set whose card says that it states no modality is not opened.

    Raises:
        DataMissing: the root holds none of the known sets.
    """
    kinds: dict[str, tuple[Modality, str]] = {}
    found = []
    for name in base.TABLE:
        dataset = base.dataset(name)
        if (root / dataset.card.folder).is_dir():
            found.append(name)
            for exchange in dataset.exchanges(root, Split.TRAIN) if dataset.card.states_modality else ():
                modality, part = exchange.tags.get("modality"), exchange.tags.get("body_part")
                if modality in set(Modality) and part:
                    kinds[exchange.image] = (Modality(modality), part)
    if not found:
        raise DataMissing(f"{root} holds none of the data sets {', '.join(base.TABLE)}", remedy="leave --data out to use drawn patients")
    return _RealFirst(FileBank(root, kinds, _decode))


def _decode(path: Path, modality: Modality, body_part: str) -> Image:
    return formats.read(path, modality=str(modality), body_part=body_part).image


@functools.lru_cache(maxsize=1)
def _model(name: str, device: str, precision: str) -> GenerativeModel:
    return cards.load(name, device=device, precision=precision)


def open_reader(
    model: str = "pocket",
    *,
    policy: str | Path | None = None,
    data: str | Path | None = None,
    rewordings: int = 8,
    samples: int = 8,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    progress: Progress | None = None,
) -> Reader:
    """A reader by names; the model is loaded once in a process.

    Args:
        model: as `vesalius models` lists it. device, precision: as `cards.load`.
        policy: a TOML file; None takes the one that ships.
        data: a data root whose training images serve as other patients; None takes drawn ones.

    Raises:
        UnknownName: no such model. ConfigError: the policy file. DataMissing: the data root. MissingExtra, WeightsError: the model cannot be had.
    """
    rules = read_policy(policy) if policy is not None else default_policy()
    bank = bank_of(base.data_root(data)) if data is not None else None
    if progress is not None:
        progress(f"loading {model}")
    loaded = _model(model, device, precision)
    told = cards.where(loaded)
    if progress is not None and told:
        progress(f"{model} {told}")
    return Reader(loaded, rules, rewordings=rewordings, samples=samples, bank=bank, seed=seed)
