import pytest

from tests.unit.data.published import roco, roco_v2
from vesalius.data.base import DataFormatError
from vesalius.data.roco import DATASET, DATASET_2, QUESTION
from vesalius.domain.exchange import Split


def test_a_caption_is_what_is_asked_for_and_the_licence_is_the_figures_own(tmp_path):
    first = DATASET.exchanges(roco(tmp_path), Split.TEST)[0]
    assert (first.question.text, first.gold, first.closed) == (QUESTION, "Drawn figure ROCO_00020, axial.", False)
    assert (first.image, first.cluster) == ("roco/data/test/radiology/images/ROCO_00020.jpg", "roco:PMC1")
    assert first.tags["licence"] == "CC BY-NC"


def test_figures_that_are_no_radiology_are_asked_for_by_name(tmp_path):
    root = roco(tmp_path)
    assert len(DATASET.exchanges(root, Split.TRAIN)) == 3
    assert DATASET.exchanges(root, Split.TRAIN, "all")[-1].image.startswith("roco/data/train/non-radiology/images/")


def test_the_folder_may_be_that_inside_the_repository(tmp_path):
    root = roco(tmp_path)
    for part in (root / "roco/data").iterdir():
        part.rename(root / "roco" / part.name)
    (root / "roco/data").rmdir()
    assert DATASET.exchanges(root, Split.TEST)[0].image == "roco/test/radiology/images/ROCO_00020.jpg"


def test_repeated_figures_and_empty_captions_are_counted(tmp_path):
    root = roco(tmp_path)
    path = root / "roco/data/test/radiology/captions.txt"
    path.write_text(path.read_text() + "ROCO_00020\t again\nROCO_00099\t \n\n")
    assert len(DATASET.exchanges(root, Split.TEST)) == 3
    assert DATASET.left_out(root) == {"the figure is there twice": 1, "no caption": 1}


@pytest.mark.parametrize("line", ["../../../secret\t A caption.\n", "no tab\n"])
def test_lines_of_another_form_are_refused(tmp_path, line):
    root = roco(tmp_path)
    (root / "roco/data/test/radiology/captions.txt").write_text(line)
    with pytest.raises(DataFormatError):
        DATASET.exchanges(root, Split.TEST)


def test_without_the_licences_a_figure_stands_alone(tmp_path):
    root = roco(tmp_path)
    (root / "roco/data/test/radiology/licences.txt").unlink()
    first = DATASET.exchanges(root, Split.TEST)[0]
    assert first.cluster == "roco:ROCO_00020"
    assert "licence" not in first.tags


def test_version_2_has_its_captions_in_tables(tmp_path):
    root = roco_v2(tmp_path)
    first, second = DATASET_2.exchanges(root, Split.DEVELOPMENT)
    assert (first.gold, first.image) == ("Drawn, in two lines", "roco_v2/valid/ROCOv2_2023_valid_000001.jpg")
    assert (first.tags["licence"], second.tags["licence"], second.cluster) == ("CC BY", "CC BY-NC", "roco-v2:PMCvalid")


def test_an_archive_unpacked_inside_its_folder_is_found(tmp_path):
    root = roco_v2(tmp_path)
    (root / "roco_v2/test/test").mkdir()
    for path in (root / "roco_v2/test").glob("*.jpg"):
        path.rename(path.parent / "test" / path.name)
    (root / "roco_v2/test_captions.csv").touch()
    row = DATASET_2.exchanges(root, Split.TEST)[0]
    assert DATASET_2.image_path(root, row.image).is_file()
