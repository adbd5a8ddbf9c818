import json

import pytest

from tests.unit.data.published import dump, llava_med, talk
from vesalius.data.base import DataFormatError
from vesalius.data.llava_med import DATASET
from vesalius.domain.exchange import Split

FILE = "llava_med/alignment/llava_med_alignment_500k.json"


def test_a_conversation_is_an_exchange_for_each_answer(tmp_path):
    root = llava_med(tmp_path)
    first, second, third, _ = DATASET.exchanges(root, Split.TRAIN)
    assert (first.question.text, first.gold, first.image) == ("What is drawn?", "A circle.", "llava_med/images/1001_F1.jpg")
    assert (second.question.text, second.tags["turn"], second.tags["domain"]) == ("Where is it?", "1", "chest_xray")
    assert first.cluster == third.cluster == "llava-med:1001"  # two figures of one article
    assert not DATASET.exchanges(root, Split.TEST)


def test_each_file_is_a_protocol_and_a_copy_may_have_some_of_them(tmp_path):
    root = llava_med(tmp_path)
    dump(root / "llava_med/instruct/llava_med_instruct_60k_inline_mention.json", [talk("7_F1", "Q?", "A.", domain="mri")])
    (only,) = DATASET.exchanges(root, Split.TRAIN, "instruct_60k_inline_mention")
    assert only.tags["domain"] == "mri"
    found = DATASET.check(root)
    assert found.missing == ("llava_med/images/7_F1.jpg",)
    assert not found.corrupt


def test_what_cannot_be_used_is_counted(tmp_path):
    root = llava_med(tmp_path)
    rows = [
        talk("1_F1", "Q?", "A."),
        talk("1_F1", "Q?", "B."),
        talk("2_F1", "Q?"),
        talk("3_F1", "x" * 2001, "long", "and?", ""),
        talk("4_F1", "Q?", "A.", "Why?"),
    ]
    dump(root / FILE, rows)
    assert [x.id for x in DATASET.exchanges(root, Split.TRAIN)] == ["llava-med:1_F1:0", "llava-med:4_F1:0"]
    assert DATASET.left_out(root) == {
        "the figure is there twice": 1,
        "no question with an answer": 1,
        "a question without answer": 2,
        "an answer without question, or empty": 1,
        "a question over 2,000 characters": 1,
    }


def test_captions_come_with_the_sentences_that_mention_the_figure(tmp_path):
    (only,) = DATASET.captions(llava_med(tmp_path))
    assert (only.domain, only.label, only.caption, only.mentions) == ("chest_xray", "Figure 1", "A drawn circle.", ("See Figure 1.", "And again."))


@pytest.mark.parametrize("image", ["../../secret.jpg", "/etc/passwd"])
def test_an_image_outside_the_folder_is_refused(tmp_path, image):
    root = llava_med(tmp_path)
    dump(root / FILE, [{**talk("1", "Q?", "A."), "image": image}])
    with pytest.raises(DataFormatError, match="no path below"):
        DATASET.exchanges(root, Split.TRAIN)


def test_the_pointer_of_large_file_storage_and_other_speakers_are_refused(tmp_path):
    root = llava_med(tmp_path)
    (root / FILE).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    with pytest.raises(DataFormatError):
        DATASET.exchanges(root, Split.TRAIN)
    row = json.loads(json.dumps(talk("1", "Q?", "A.")))
    row["conversations"][0]["from"] = "system"
    dump(root / FILE, [row])
    with pytest.raises(DataFormatError, match="'system'"):
        DATASET.exchanges(root, Split.TRAIN)
