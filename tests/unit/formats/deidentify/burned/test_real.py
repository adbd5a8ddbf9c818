"""A real ultrasound picture that ships inside pydicom, with the name of a hospital in it."""

import io

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

pytest.importorskip("rapidocr", reason="needs the extra deidentify")
pytest.importorskip("onnxruntime", reason="needs the extra deidentify")

from vesalius.formats.deidentify.burned.reading import Reader
from vesalius.formats.deidentify.burned.redact import redact
from vesalius.formats.deidentify.burned.triage import triage


def test_the_hospital_goes_and_the_picture_stays():
    source = pydicom.dcmread(get_testdata_file("examples_rgb_color.dcm", download=False))
    assert triage(source).read
    reader = Reader()
    done = redact(source, reader)
    stream = io.BytesIO()
    done.dataset.save_as(stream, enforce_file_format=True)
    clean = pydicom.dcmread(io.BytesIO(stream.getvalue()))
    assert "BAPTIST" in " ".join(box.text for box in done.boxes)
    left = " ".join(box.text for box in reader.read(clean.pixel_array[..., 1].copy()) if box.score >= 0.5)
    assert "BAPTIST" not in left
    assert "630P630" not in left
    same = (clean.pixel_array == source.pixel_array).all(axis=-1)
    assert same[80:175, 20:300].mean() > 0.99
    assert np.count_nonzero(~same) < 0.15 * same.size
