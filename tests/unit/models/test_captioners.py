"""Experts that describe a picture by a stock captioning model."""

import numpy as np
import pytest

from tests.checkpoints import med_alpaca as builder
from vesalius.domain.study import Image, Intensity, Modality, single
from vesalius.models import captioners


@pytest.fixture
def study():
    shown = np.random.default_rng(0).integers(0, 256, (1, 40, 50, 3)).astype(np.uint8)
    return single(Image(shown, Intensity.COLOUR, Modality.OT))


def test_med_git_sees_what_the_published_processor_would_show(tmp_path, study):
    expert = captioners.MedGit(builder.med_git(tmp_path))
    shown = []
    expert.model.register_forward_pre_hook(lambda _m, _a, kwargs: shown.append(kwargs.get("pixel_values")), with_kwargs=True)
    expert.describe(study)
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    wanted = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=32)(study.image.pixels[0], return_tensors="pt")["pixel_values"]
    assert shown[0].shape == wanted.shape
    assert (shown[0] - wanted).abs().max() < 0.05
