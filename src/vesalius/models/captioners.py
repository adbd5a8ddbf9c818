"""Experts that describe a picture by a stock captioning model: Med-GIT and DePlot, as Visual Med-Alpaca uses them.

In: a `Study`. Out: what is `Heard` of it, with a confidence. The models are classes of the library `transformers`, read from folders.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as Picture
from torch import Tensor

from vesalius.domain.study import Study
from vesalius.errors import WeightsError
from vesalius.formats.pixels import render
from vesalius.models.experts import Heard, Said

MED_GIT, DEPLOT = "med-git", "deplot"  # folders beside the language model's files
CAPTION = 50  # tokens of a caption, as the published training cuts them
TABLE = 512  # tokens of a table
DEPLOT_ASKS = "Generate underlying data table of the figure below:"
MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


class MedGit:
    """Med-GIT: a GIT captioner (Wang et al. 2022, arXiv 2205.14100) tuned on radiology figures. Confidence: geometric mean of the tokens' probabilities.

    Args:
        folder: of a `GitForCausalLM` with `tokenizer.json`.

    Raises:
        WeightsError: it cannot be loaded.
    """

    name = MED_GIT

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        from tokenizers import Tokenizer
        from transformers import GitForCausalLM

        self.model = _stock(GitForCausalLM, folder, device)
        self.tokenizer = open_part(folder, "tokenizer.json", lambda path: Tokenizer.from_file(str(path)))

    @torch.inference_mode()
    def describe(self, study: Study) -> Heard:
        """A caption: shorter side to the tower's size, middle square, CLIP's normalisation, greedy."""
        size = int(self.model.config.vision_config.image_size)
        picture = Picture.fromarray(render(study.image)).convert("RGB")
        scale = size / min(picture.size)
        picture = picture.resize((max(size, round(picture.width * scale)), max(size, round(picture.height * scale))), Picture.Resampling.BICUBIC)
        left, top = (picture.width - size) // 2, (picture.height - size) // 2
        values = torch.from_numpy(np.array(picture.crop((left, top, left + size, top + size)))).float() / 255
        pixels = ((values - torch.tensor(MEAN)) / torch.tensor(DEVIATION)).permute(2, 0, 1)[None].to(self.model.device, self.model.dtype)
        start = torch.tensor([[int(self.model.config.bos_token_id)]], device=self.model.device)
        text, confidence = _written(self.model, self.tokenizer, CAPTION, input_ids=start, pixel_values=pixels)
        return Heard(Said(self.name, text, confidence if text else 0.0))


class DePlot:
    """DePlot (Liu et al. 2023, arXiv 2212.10505): a plot to its data table. Confidence as `MedGit`.

    The published processor draws its instruction above the picture in Arial, fetched from the hub; here `arial.ttf` of the folder, else Pillow's own type.

    Raises:
        WeightsError: it cannot be loaded.
    """

    name = DEPLOT

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        from tokenizers import Tokenizer
        from transformers import Pix2StructForConditionalGeneration
        from transformers.models.pix2struct.image_processing_pil_pix2struct import Pix2StructImageProcessorPil

        self.model = _stock(Pix2StructForConditionalGeneration, folder, device)
        self.tokenizer = open_part(folder, "tokenizer.json", lambda path: Tokenizer.from_file(str(path)))
        settings = open_part(folder, "preprocessor_config.json", lambda path: json.loads(path.read_text(encoding="utf-8")))
        kept = {key: settings[key] for key in ("max_patches", "patch_size") if key in settings}
        self.processor, self.type = Pix2StructImageProcessorPil(**kept), folder / "arial.ttf"

    @torch.inference_mode()
    def describe(self, study: Study) -> Heard:
        """The table as text, its rows separated by line breaks."""
        typeface = self.type.read_bytes() if self.type.exists() else _typeface()
        colours = np.array(Picture.fromarray(render(study.image)).convert("RGB"))
        headed = self.processor.render_header(colours.transpose(2, 0, 1), DEPLOT_ASKS, font_bytes=typeface)  # its own call would fetch a type
        made = self.processor(headed, input_data_format="channels_first", return_tensors="pt")
        patches, seen = made["flattened_patches"].to(self.model.device, self.model.dtype), made["attention_mask"].to(self.model.device)
        text, confidence = _written(self.model, self.tokenizer, TABLE, flattened_patches=patches, attention_mask=seen)
        text = text.replace("<0x0A>", "\n")
        return Heard(Said(self.name, f"The image is a plot. Its data: {text}" if text else "The image is a plot.", confidence if text else 0.0))


def _typeface() -> bytes:
    from PIL import ImageFont

    held = ImageFont.load_default(36)
    source = getattr(held, "path", None)
    return source.getvalue() if isinstance(source, io.BytesIO) else bytes(getattr(held, "font_bytes", b""))


def _stock(kind: Any, folder: Path, device: str) -> Any:  # noqa: ANN401 - the library is not typed
    try:
        return kind.from_pretrained(str(folder), local_files_only=True).to(device).eval()
    except Exception as error:  # the library raises plain exceptions
        detail = str(error).splitlines()[0][:120]
        raise WeightsError(f"{folder}: is not a checkpoint of {kind.__name__} ({detail})", remedy="fetch the expert again, or remove its folder") from error


def open_part(folder: Path, name: str, read: Callable[[Path], Any]) -> Any:  # noqa: ANN401
    """What `read` makes of one file of a folder.

    Raises:
        WeightsError: it cannot be read.
    """
    try:
        return read(folder / name)
    except Exception as error:  # the tokenizers library raises plain exceptions
        raise WeightsError(f"{folder}: {name} cannot be read", remedy="fetch the expert again, or remove its folder") from error


def _written(model: Any, tokenizer: Any, most: int, **inputs: Tensor) -> tuple[str, float]:  # noqa: ANN401
    """Greedy text and the geometric mean of its tokens' probabilities."""
    out = model.generate(**inputs, max_new_tokens=most, do_sample=False, num_beams=1, return_dict_in_generate=True, output_scores=True)
    ids = out.sequences[0, -len(out.scores) :]
    chances = [float(torch.log_softmax(scores[0].float(), -1)[token]) for scores, token in zip(out.scores, ids, strict=True)]
    return str(tokenizer.decode(ids.tolist(), skip_special_tokens=True)).strip(), min(1.0, math.exp(sum(chances) / max(1, len(chances))))
