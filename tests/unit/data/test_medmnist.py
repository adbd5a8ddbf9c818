import zipfile

import numpy as np
import pytest
from PIL import Image as Picture

from tests.unit.data.published import mnist
from vesalius.data.base import DataFormatError
from vesalius.data.medmnist import BREAST, CHEST, ORGAN_A, PNEUMONIA
from vesalius.domain.exchange import Split


def test_a_picture_is_written_once_as_it_is_in_the_archive(tmp_path):
    root = mnist(PNEUMONIA)(tmp_path)
    rows = PNEUMONIA.exchanges(root, Split.TEST)
    path = PNEUMONIA.image_path(root, rows[2].image)
    with Picture.open(path) as picture:
        assert np.array_equal(np.asarray(picture), np.full((28, 28), 44, np.uint8))
    before = path.stat().st_mtime_ns
    assert PNEUMONIA.exchanges(root, Split.TEST) == rows
    assert path.stat().st_mtime_ns == before


def test_the_largest_size_is_read(tmp_path):
    mnist(PNEUMONIA)(tmp_path)
    root = mnist(PNEUMONIA, 64)(tmp_path)
    assert PNEUMONIA.exchanges(root, Split.TRAIN)[0].image == "medmnist/pneumoniamnist/images_64/train_000000.png"


def test_classes_become_answers(tmp_path):
    for dataset in (PNEUMONIA, BREAST, CHEST, ORGAN_A):
        mnist(dataset)(tmp_path)
    assert [x.gold for x in PNEUMONIA.exchanges(tmp_path, Split.TRAIN)] == ["no", "yes", "no", "yes"]
    assert [x.gold for x in BREAST.exchanges(tmp_path, Split.TRAIN)] == ["yes", "no", "yes", "no"]  # class 0 is malignant
    organ = ORGAN_A.exchanges(tmp_path, Split.TRAIN)[1]
    assert (organ.gold, len(organ.question.options)) == ("left femur", 11)
    chest = CHEST.exchanges(tmp_path, Split.DEVELOPMENT)
    assert (len(chest), chest[0].question.text, chest[0].gold, chest[1].gold) == (28, "Is there evidence of atelectasis?", "no", "yes")
    assert CHEST.size(tmp_path, Split.DEVELOPMENT) == 2


def test_an_array_that_would_be_unpickled_is_refused(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("it was unpickled",))

    trap = np.empty((3, 1), object)
    trap[:] = Trap()
    for name in ("test_labels", "test_images"):
        root = mnist(PNEUMONIA)(tmp_path, **{name: trap})
        with pytest.raises(DataFormatError, match="unpickled"):
            PNEUMONIA.exchanges(root, Split.TEST)


@pytest.mark.parametrize(
    "others",
    [
        {"test_labels": np.zeros((2, 1), np.uint8)},
        {"test_labels": np.full((3, 1), 7, np.uint8)},
        {"test_labels": np.zeros((3, 1), np.float32)},
        {"test_labels": np.zeros(3, np.uint8)},
        {"test_images": np.zeros((3, 28, 30), np.uint8)},
        {"test_images": np.zeros((3, 28, 28), np.float32)},
        {"test_images": np.zeros((3, 28, 28, 28), np.uint8)},
        {"test_images": np.asfortranarray(np.zeros((3, 28, 28), np.uint8))},
    ],
)
def test_arrays_of_another_shape_or_kind_are_refused(tmp_path, others):
    root = mnist(PNEUMONIA)(tmp_path, **others)
    with pytest.raises(DataFormatError):
        PNEUMONIA.exchanges(root, Split.TEST)


def test_an_archive_without_an_array_or_with_a_false_size_is_refused(tmp_path):
    path = mnist(PNEUMONIA)(tmp_path) / "medmnist/pneumoniamnist/pneumoniamnist.npz"
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train_images.npy", held["train_images.npy"])
    with pytest.raises(DataFormatError, match=r"train_labels\.npy"):
        PNEUMONIA.exchanges(tmp_path, Split.TRAIN)
    whole = held["train_images.npy"]
    for damaged in (whole[:-100], whole[:20], whole.replace(b"(4, 28, 28)", b"(4, 28, 28}"), whole.replace(b"(4, 28, 28)", b"(9e9, 28, 2)"[:11])):
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in held.items():
                archive.writestr(name, damaged if name == "train_images.npy" else content)
        with pytest.raises(DataFormatError):
            PNEUMONIA.exchanges(tmp_path, Split.TRAIN)


def test_pictures_are_written_anew_when_the_archive_is_another(tmp_path):
    root = mnist(PNEUMONIA)(tmp_path)
    row = PNEUMONIA.exchanges(root, Split.TEST)[0]
    mnist(PNEUMONIA)(tmp_path, test_images=np.random.default_rng(0).integers(0, 255, (3, 28, 28)).astype(np.uint8))
    PNEUMONIA.exchanges(root, Split.TEST)
    with Picture.open(PNEUMONIA.image_path(root, row.image)) as picture:
        assert len(set(np.asarray(picture).ravel().tolist())) > 50
