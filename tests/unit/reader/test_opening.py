"""Readers by name."""

import numpy as np
import pytest

from tests.evaluate_miniature import slake
from tests.unit.data.public_vqa import path_vqa, pmc_vqa
from vesalius.data.base import dataset
from vesalius.data.phantoms import FileBank, PhantomBank, other_patient, phantom
from vesalius.domain.exchange import Split
from vesalius.domain.study import Modality
from vesalius.errors import ConfigError, DataMissing, UnknownName
from vesalius.reader.opening import _RealFirst, bank_of, open_reader


def test_unknown_model_offers_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'pocket'"):
        open_reader("pokcet")


def test_bad_policy_is_told_before_the_model_is_loaded(tmp_path):
    path = tmp_path / "p.toml"
    path.write_text("max_mising = 3\n")
    with pytest.raises(ConfigError, match="max_missing"):
        open_reader("pokcet", policy=path)


def test_a_root_without_any_set(tmp_path):
    with pytest.raises(DataMissing, match="holds none"):
        bank_of(tmp_path)


def test_real_patients_first_drawn_ones_elsewhere(tmp_path):
    real = phantom("CT", "HEAD", 99)
    bank = _RealFirst(FileBank(tmp_path, {"a.png": (Modality.CT, "HEAD")}, lambda path, modality, part: real))
    assert other_patient(phantom("CT", "HEAD", 1), bank) is real
    drawn = other_patient(phantom("MR", "HEAD", 1), bank)
    assert drawn is not None
    assert drawn.modality is Modality.MR


@pytest.mark.parametrize("name", ["path-vqa", "pmc-vqa"])
def test_a_set_that_states_no_modality_is_not_opened(tmp_path, name):
    folder = tmp_path / dataset(name).card.folder
    folder.mkdir()
    with pytest.raises(DataMissing):
        dataset(name).exchanges(tmp_path, Split.TRAIN)
    bank = bank_of(tmp_path)
    assert bank.candidates(Modality.CT, "HEAD") == PhantomBank().candidates(Modality.CT, "HEAD") != ()
    slake(tmp_path, 6)
    assert bank_of(tmp_path).candidates(Modality.CR, "CHEST")[0].startswith("slake/")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(("name", "copy"), [("path-vqa", path_vqa), ("pmc-vqa", pmc_vqa)])
def test_its_card_says_so_truly(tmp_path, name, copy):
    assert not dataset(name).card.states_modality
    assert not any("modality" in x.tags for split in Split for x in dataset(name).exchanges(copy(tmp_path), split))


@pytest.mark.data
def test_a_data_root_gives_real_patients(data_root):
    bank = bank_of(data_root)
    film = other_patient(phantom("CR", "CHEST", 1), bank, seed=1)
    assert film is not None
    assert not film.source.startswith("phantom")
    assert np.ptp(film.pixels) > 0
