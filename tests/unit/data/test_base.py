import dataclasses
import sys
from subprocess import run

import pytest

from tests.unit.data import credentialed, layout, public_vqa, published
from vesalius.data import base
from vesalius.errors import DataMissing, UnknownName


def test_data_root_prefers_the_argument_over_the_environment(tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setenv(base.ENVIRONMENT, str(other))
    assert base.data_root() == other
    assert base.data_root(tmp_path) == tmp_path


@pytest.mark.parametrize("value", ["", "  "])
def test_data_root_unset_names_both_remedies(monkeypatch, value):
    monkeypatch.setenv(base.ENVIRONMENT, value)
    with pytest.raises(DataMissing, match=r"--data DIR or set VESALIUS_DATA"):
        base.data_root()


def test_data_root_must_be_a_folder(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    for path in (file, tmp_path / "absent"):
        with pytest.raises(DataMissing, match="is not a folder"):
            base.data_root(path)


def test_misspelt_dataset_gets_the_nearest_name():
    with pytest.raises(UnknownName, match="did you mean 'slake'"):
        base.dataset("slaek")


def test_absent_dataset_says_how_to_obtain_it(tmp_path):
    for name in base.TABLE:
        dataset = base.dataset(name)
        for call in (lambda d=dataset: d.exchanges(tmp_path, "train"), lambda d=dataset: d.check(tmp_path)):
            with pytest.raises(DataMissing) as caught:
                call()
            assert caught.value.remedy == dataset.card.how_to_obtain


def test_unknown_protocol_is_refused_by_every_set(tmp_path):
    for name in base.TABLE:
        dataset = base.dataset(name)
        with pytest.raises(UnknownName, match="split protocol"):
            dataset.exchanges(tmp_path, "train", "ofical")


def test_image_path_stays_below_the_root(tmp_path):
    root = tmp_path / "root"
    layout.picture(root / "a" / "x.jpg")
    layout.picture(tmp_path / "outside.jpg")
    assert base.image_path(root, "a/x.jpg") == root / "a/x.jpg"
    with pytest.raises(DataMissing, match="outside the data root"):
        base.image_path(root, "../outside.jpg")
    with pytest.raises(DataMissing, match="is not below"):
        base.image_path(root, "a/y.jpg")


@pytest.mark.parametrize(("text", "match"), [("{", "not valid JSON"), ("{}", "list of records"), ("[1]", "list of records")])
def test_read_json_refuses_what_is_no_list_of_records(tmp_path, text, match):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(base.DataFormatError, match=match):
        base.read_json(path, base.dataset("slake").card)


def test_tables_refuse_other_encodings_and_missing_columns(tmp_path):
    card = base.dataset("slake").card
    path = tmp_path / "x.csv"
    path.write_bytes(b"a,b\n\xff\xfe,1\n")
    with pytest.raises(base.DataFormatError, match="UTF-8"):
        base.read_csv(path, card)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(base.DataFormatError, match="no column 'c'"):
        base.read_csv(path, card, needs=("a", "c"))
    path.write_text("")
    with pytest.raises(base.DataFormatError, match="no column 'a'"):
        base.read_csv(path, card, needs=("a",))


def test_check_finds_missing_empty_and_broken_files(tmp_path):
    layout.slake(tmp_path)
    whole = base.check(tmp_path, "slake")
    assert whole.missing == whole.corrupt == ()
    assert not whole.ok  # a miniature has not the documented counts
    assert whole.counts["official test"] == 1
    image = tmp_path / "slake/imgs/xmlab2/source.jpg"
    image.write_bytes(image.read_bytes()[:200])
    (tmp_path / "slake/imgs/xmlab1/source.jpg").unlink()
    (tmp_path / "slake/KG/en_organ.csv").write_text("")
    found = base.check(tmp_path, "slake")
    assert found.missing == ("slake/imgs/xmlab1/source.jpg",)
    assert set(found.corrupt) == {"slake/imgs/xmlab2/source.jpg", "slake/KG/en_organ.csv"}
    assert found.data_hash != whole.data_hash
    assert found.to_json()["ok"] is False


def test_check_reports_a_table_that_cannot_be_read_instead_of_raising(tmp_path):
    layout.hannover(tmp_path)
    table = tmp_path / "hannover_cxr/data.csv"
    table.write_text(table.read_text().replace(",10,", ",ten,"))
    with pytest.raises(base.DataFormatError, match="ValueError"):
        base.dataset("hannover").exchanges(tmp_path, "train")
    found = base.check(tmp_path, "hannover")
    assert found.files == 4  # images are looked at all the same
    assert any("does not hold this set" in text for text in found.corrupt)


@pytest.mark.parametrize("name", sorted(base.TABLE))
def test_check_names_an_absent_table(tmp_path, name):
    {
        "vqa-rad": layout.vqa_rad,
        "slake": layout.slake,
        "nih-cxr": layout.nih_cxr,
        "hannover": layout.hannover,
        "iu-reports": layout.iu_reports,
        "ms-cxr": credentialed.ms_cxr,
        "ms-cxr-t": credentialed.ms_cxr_t,
        "vindr-cxr": credentialed.vindr_cxr,
        "path-vqa": public_vqa.path_vqa,
        "pmc-vqa": public_vqa.pmc_vqa,
        **published.BUILDERS,
    }[name](tmp_path)
    table = base.dataset(name).files(tmp_path)[0][0]
    table.unlink()
    found = base.dataset(name).check(tmp_path)
    assert found.missing == (str(table.relative_to(tmp_path)),)
    assert any("cannot be read" in text for text in found.corrupt)


def test_check_is_ok_only_when_the_counts_are_the_documented_ones(tmp_path):
    layout.slake(tmp_path)
    found = base.check(tmp_path, "slake")
    assert dataclasses.replace(found, documented=found.counts).ok


def test_listing_and_loading_cards_is_light():
    heavy = "any(m in sys.modules for m in ('torch', 'sklearn', 'PIL'))"
    code = f"import sys; from vesalius.data import base; [base.dataset(n).card for n in base.TABLE]; sys.exit({heavy})"
    assert run([sys.executable, "-c", code], check=False).returncode == 0
