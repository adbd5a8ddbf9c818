"""The models by name, and what is true of them without loading anything.

In: a name. Out: its `ModelCard`, or the loader behind it. No torch here: `vesalius models` answers at once.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vesalius.errors import ConfigError, UserError, WeightsError
from vesalius.models.base import GenerativeModel, ModelCard, Task
from vesalius.registry import Table, unknown

REMOTE = "remote"  # followed by the name of an endpoint instead of a folder
MODELS = Table(
    "model",
    {
        "pocket": "vesalius.models.pocket:load",
        "llava-med-1.5-7b": "vesalius.models.llava_med:load",
        "llava-med-1.0-7b": "vesalius.models.llava_med_v1:load",
        "llava-med-13b": "vesalius.models.llava_vicuna:load",
        "chexagent-2-3b": "vesalius.models.chexagent:load",
        "chexagent-8b": "vesalius.models.chexagent_8b:load",
        "chexagent-chapter": "vesalius.models.chexagent_chapter:load",
        "llava-rad-7b": "vesalius.models.llava_rad:load",
        "med-flamingo-9b": "vesalius.models.med_flamingo:load",
        "visual-med-alpaca-pocket": "vesalius.models.med_alpaca:load",
        "visual-med-alpaca-7b": "vesalius.models.med_alpaca_7b:load",
        "biomedclip": "vesalius.models.biomedclip:load",
        "medgemma-4b": "vesalius.models.stock:medgemma",
        "lingshu-7b": "vesalius.models.stock:lingshu",
        "qwen2.5-vl": "vesalius.models.stock:kin",
        "medsiglip": "vesalius.models.siglip:load",
        REMOTE: "vesalius.models.remote:load",
    },
)

_POCKET = ModelCard(
    name="pocket",
    weights="ship with it",
    summary="EfficientNet-Lite0, MLP projectors and SmolLM2-135M-Instruct: small, offline on two CPU cores, trained by a staged curriculum",
    tasks=(Task.VQA, Task.FINDINGS),
    licence="Apache-2.0",
    modalities=("CR", "DX", "CT", "MR"),
    body_parts=("CHEST", "ABDOMEN", "HEAD", "BRAIN", "PELVIS", "NECK"),
    languages=("en",),
    context=8192,
    image_tokens=81,
    parameters=149_144_384,
    source="recipes/pocket.toml",
    revision="1",
    limits=(
        "answers in a few words; it does not write reports",
        "was trained on a few thousand question-answer pairs; it is a demonstration of the method, not a diagnostic device",
        "sees one picture at 288 x 288 pixels: small lesions, fine fractures and faint lines are below its resolution",
        "cannot compare studies, measure sizes, or locate a finding in coordinates",
    ),
    measured=(
        "SLAKE, validation: 82.7 (80.3–84.9), n 1,053 right; a kernel SVM 82.1 (79.7–84.5), n 1,053",
        "VQA-RAD, official test, closed: 61.0 (54.4–67.8), n 272; from the question alone 58.1 (51.3–64.6), n 272",
        "VQA-RAD, official test, open: 16.8 (11.0–23.3), n 179; from the question alone 15.1 (9.4–21.4), n 179",
        "VQA-RAD, flips when a question is reworded: 31.0 (25.4–37.4), n 651 pairs",
        "NIH films, AUROC of pneumonia: 0.831 (0.735–0.918), n 164",
    ),
)
_LLAVA_MED = ModelCard(
    name="llava-med-1.5-7b",
    summary="LLaVA-Med v1.5: CLIP ViT-L/14 at 336 px, a two-layer MLP and Mistral-7B, aligned and instructed on PubMed figures; weights to be downloaded",
    tasks=(Task.VQA,),
    licence="MSR research licence (code and weights), CC BY-NC 4.0 (data)",
    modalities=("CR", "DX", "CT", "MR", "SM"),
    body_parts=("CHEST", "ABDOMEN", "HEAD", "BRAIN", "PELVIS", "NECK"),
    languages=("en",),
    context=2048,
    image_tokens=576,
    parameters=7_566_219_264,
    source="huggingface.co/microsoft/llava-med-v1.5-mistral-7b",
    revision="91bb16c1",
    limits=(
        "research only: its licence forbids clinical use",
        "no figures on VQA-RAD, SLAKE or PathVQA are published for this version; those that are quoted are of version 1.0, fine-tuned",
        "sees one picture, padded to a square of 336 x 336 pixels",
    ),
)
_CHEXAGENT = ModelCard(
    name="chexagent-2-3b",
    summary="CheXagent-2: SigLIP ViT-L/16 for chest films at 512 px, a projector per token and Phi-2; weights to be downloaded",
    tasks=(Task.VQA, Task.REPORT, Task.FINDINGS, Task.GROUNDING),
    licence="MIT (weights, as reported), CC BY-NC 4.0 (tower, as reported), CC BY-NC-ND 4.0 (code)",
    modalities=("CR", "DX"),
    body_parts=("CHEST",),
    languages=("en",),
    context=2048,
    image_tokens=1024,
    parameters=3_128_149_504,
    source="huggingface.co/StanfordAIMI/CheXagent-2-3b",
    revision="8f19b53a",
    limits=(
        "frontal and lateral chest radiographs only",
        "one image takes half of its context: two images in one prompt do not fit",
        "a picture is stretched to a square of 512 x 512 pixels",
        "research only: the tower's licence is non-commercial",
    ),
)
_CHEXAGENT_CHAPTER = ModelCard(
    name="chexagent-chapter",
    weights="none exist",
    summary="CheXagent as a book chapter has it: SigLIP at 512 px, Linear, LayerNorm, GELU, Linear, Phi-2: a declared configuration without weights",
    tasks=(Task.VQA, Task.REPORT, Task.FINDINGS),
    licence="of whatever weights are loaded",
    modalities=("CR", "DX"),
    body_parts=("CHEST",),
    languages=("en",),
    context=2048,
    image_tokens=1024,
    parameters=3_093_014_528,
    source="a description of the projector; the rest as chexagent-2-3b",
    revision="1",
    limits=(
        "no such weights were ever released: a folder must be trained or had elsewhere",
        "what it can do is what its weights were trained for; no figures exist",
        "one image takes half of its context: two images in one prompt do not fit",
    ),
)
_CHEXAGENT_8B = ModelCard(
    name="chexagent-8b",
    summary="CheXagent, first version: an EVA-shaped ViT for chest films at 448 px, a Q-Former of 128 queries and Mistral-7B; weights to be downloaded",
    tasks=(Task.VQA, Task.REPORT, Task.FINDINGS),
    licence="not verified (weights), Apache-2.0 (its published code, by its header); research only",
    modalities=("CR", "DX"),
    body_parts=("CHEST",),
    languages=("en",),
    context=4096,
    image_tokens=128,
    parameters=8_362_401_664,
    source="huggingface.co/StanfordAIMI/CheXagent-8b",
    revision="4934e914",
    limits=(
        "research only, by its authors' statement: not for clinical use",
        "its authors' page now lists chexagent-2-3b in its place",
        "chest radiographs only; a picture is stretched to a square of 448 x 448 pixels",
        "two films are read together, only from Python, and it cannot tell which is which: no comparison over time",
    ),
)
_LLAVA_RAD = ModelCard(
    name="llava-rad-7b",
    weights="to be put together",
    summary="LLaVA-Rad: BiomedCLIP-CXR ViT-B/14 at 518 px, a two-layer MLP and Vicuna-7B with an adapter, trained to write findings; weights to be had",
    tasks=(Task.VQA, Task.REPORT, Task.FINDINGS),
    licence="MSR research licence (code and weights); LLaMA 2's licence applies to the language model",
    modalities=("CR", "DX"),
    body_parts=("CHEST",),
    languages=("en",),
    context=2048,
    image_tokens=1369,
    parameters=6_844_908_032,
    source="huggingface.co/microsoft/llava-rad",
    revision="dcdbc6ca",
    limits=(
        "research only: its authors exclude clinical care and clinical decisions",
        "was trained to write the findings of one frontal chest film, given an indication or not; other questions are outside of what it learnt",
        "cannot compare with an earlier film",
        "sees the middle square of one picture at 518 x 518 pixels: what lies outside is not seen",
        "needs Vicuna-7B v1.5 beside its own files",
    ),
)
_BIOMEDCLIP = ModelCard(
    name="biomedclip",
    summary="BiomedCLIP: ViT-B/16 at 224 px and PubMedBERT in one space, trained on 15 million figures and captions; weights to be downloaded",
    tasks=(Task.EMBEDDING, Task.VQA),
    licence="MIT",
    modalities=("CR", "DX", "CT", "MR", "US", "SM"),
    body_parts=("CHEST", "ABDOMEN", "HEAD", "BRAIN", "PELVIS", "NECK"),
    languages=("en",),
    context=256,
    image_tokens=196,
    parameters=195_902_721,
    source="huggingface.co/microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224",
    revision="9f341de2",
    limits=(
        "research only, by its authors' statement: any deployed use is out of scope",
        "answers by ranking options (yes and no where the question asks that): it does not write, and probabilities are among the options",
        "the option is read behind the question's words; it was trained on captions, not on questions",
        "sees the middle square of one picture at 224 x 224 pixels",
    ),
)
_LLAVA_MED_V1 = ModelCard(
    name="llava-med-1.0-7b",
    weights="to be added up",
    summary="LLaVA-Med v1.0: CLIP ViT-L/14 at 224 px, one linear map and LLaMA-7B, the image behind the question; weights to be downloaded and added up",
    tasks=(Task.VQA,),
    licence="MSR research licence (code and weights) and LLaMA's licence (weights), CC BY-NC 4.0 (data)",
    modalities=("CR", "DX", "CT", "MR", "SM"),
    body_parts=("CHEST", "ABDOMEN", "HEAD", "BRAIN", "PELVIS", "NECK"),
    languages=("en",),
    context=2048,
    image_tokens=256,
    parameters=7_045_818_368,
    source="huggingface.co/microsoft/llava-med-7b-delta",
    revision="b9a98a7",
    limits=(
        "research only: any deployed use is out of scope by its authors' statement",
        "its image follows the question: nothing behind the first words is shared between questions, so many questions cost more than with other models",
        "sees the middle square of one picture at 224 x 224 pixels",
        "published figures on VQA-RAD, SLAKE and PathVQA are of versions fine-tuned on each data set",
    ),
)
_LLAVA_MED_13B = ModelCard(
    name="llava-med-13b",
    weights="none exist",
    summary="CLIP ViT-L/14 at 336 px, a two-layer MLP and Vicuna-13B, as the literature has it of LLaVA-Med: a declared configuration without weights",
    tasks=(Task.VQA,),
    licence="of whatever weights are loaded",
    modalities=("CR", "DX", "CT", "MR", "SM"),
    body_parts=("CHEST", "ABDOMEN", "HEAD", "BRAIN", "PELVIS", "NECK"),
    languages=("en",),
    context=2048,
    image_tokens=576,
    parameters=13_350_839_296,
    source="arXiv 2310.03744 (architecture)",
    revision="1",
    limits=(
        "no such weights of LLaVA-Med were ever released: a folder must be trained or had elsewhere",
        "what it can do is what its weights were trained for; no figures exist",
        "sees one picture, padded to a square of 336 x 336 pixels",
    ),
)
_MEDGEMMA = ModelCard(
    name="medgemma-4b",
    summary="MedGemma 4B: SigLIP at 896 px and Gemma 3, trained on medical images and text; weights to be downloaded, gated",
    tasks=(Task.VQA, Task.REPORT, Task.FINDINGS),
    licence="Health AI Developer Foundations terms of use (gated)",
    modalities=("CR", "DX", "CT", "MR", "SM", "OP", "XC"),
    body_parts=("CHEST", "ABDOMEN", "HEAD", "BRAIN", "PELVIS", "NECK"),
    languages=("en",),
    context=131_072,
    image_tokens=256,
    parameters=4_300_079_472,
    source="huggingface.co/google/medgemma-4b-it",
    revision="unpinned",
    limits=(
        "a starting point for developers: its terms ask for validation before any clinical use",
        "sees one picture, stretched to a square of 896 x 896 pixels, as 256 tokens; pan and scan is off",
        "cannot compare studies here: one picture in one turn",
        "yes/no accuracy on VQA-RAD is 69.1 by its authors' own report",
    ),
)
_LINGSHU = ModelCard(
    name="lingshu-7b",
    summary="Lingshu-7B: Qwen2.5-VL trained in four stages on 5.05 million medical samples; weights to be downloaded",
    tasks=(Task.VQA, Task.REPORT, Task.FINDINGS),
    licence="MIT (weights, as reported)",
    modalities=("CR", "DX", "CT", "MR", "US", "SM", "OP", "XC", "ES", "PT"),
    body_parts=("CHEST", "ABDOMEN", "HEAD", "BRAIN", "PELVIS", "NECK"),
    languages=("en",),
    context=128_000,
    image_tokens=16_384,
    parameters=8_292_166_656,
    source="huggingface.co/lingshu-medical-mllm/Lingshu-7B",
    revision="unpinned",
    limits=(
        "research only until it has been validated where it is to be used",
        "tokens of a picture grow with its size: a film of 3,000 x 2,500 pixels takes about 9,500",
        "published figures depend on prompts and judges of their own",
        "greedy answers here do not apply a repetition penalty",
    ),
)
_KIN = ModelCard(
    name="qwen2.5-vl",
    summary="another model of Qwen2.5-VL's class at 7B, such as HuatuoGPT-Vision-7B-Qwen2.5VL: whatever the folder holds; weights to be supplied",
    weights="to be supplied",
    tasks=(Task.VQA,),
    licence="of whatever weights are loaded",
    modalities=("CR", "DX", "CT", "MR", "US", "SM", "OP", "XC", "ES", "PT"),
    body_parts=("CHEST", "ABDOMEN", "HEAD", "BRAIN", "PELVIS", "NECK"),
    languages=("en",),
    context=128_000,
    image_tokens=16_384,
    parameters=8_292_166_656,
    source="any folder of Qwen2_5_VLForConditionalGeneration",
    revision="unpinned",
    limits=(
        "what it can do is what its weights were trained for; nothing is known of them here",
        "tokens of a picture grow with its size: a film of 3,000 x 2,500 pixels takes about 9,500",
        "greedy answers here do not apply a repetition penalty",
    ),
)
_MEDSIGLIP = ModelCard(
    name="medsiglip",
    summary="MedSigLIP: SigLIP's two towers of 400M at 448 px, trained on medical images and texts; weights to be downloaded, gated",
    tasks=(Task.EMBEDDING, Task.VQA),
    licence="Health AI Developer Foundations terms of use (gated)",
    modalities=("CR", "DX", "CT", "MR", "SM", "OP", "XC"),
    body_parts=("CHEST", "ABDOMEN", "HEAD", "BRAIN", "PELVIS", "NECK"),
    languages=("en",),
    context=64,
    image_tokens=1024,
    parameters=878_300_338,
    source="huggingface.co/google/medsiglip-448",
    revision="unpinned",
    limits=(
        "answers by ranking options (yes and no where the question asks that): it does not write, and was trained on captions, not on questions",
        "softmax probabilities are among the options given; sigmoid ones stand alone and are not calibrated",
        "texts are lower-cased, lose their punctuation and are cut at 64 tokens",
        "a picture is stretched to a square of 448 x 448 pixels",
    ),
)
_MED_FLAMINGO = ModelCard(
    name="med-flamingo-9b",
    weights="to be put together",
    summary="Med-Flamingo: CLIP ViT-L/14, a resampler to 64 latents, LLaMA-7B with gated cross-attention, for examples in the prompt; weights to be had",
    tasks=(Task.VQA,),
    licence="none stated (code has no licence file); LLaMA-1's non-commercial licence applies to the language model",
    modalities=("CR", "DX", "CT", "MR", "SM"),
    body_parts=("CHEST", "ABDOMEN", "HEAD", "BRAIN", "PELVIS", "NECK"),
    languages=("en",),
    context=2048,
    image_tokens=1,
    parameters=8_220_452_880,
    source="huggingface.co/med-flamingo/med-flamingo",
    revision="code b3c1e64",
    limits=(
        "research only: LLaMA-1's licence is non-commercial and the authors' code states none",
        "by the published code a question sees its image through one token only",
        "needs LLaMA-7B (version 1) and CLIP ViT-L/14 beside its own file",
        "seldom ends an answer itself: the row of its end token was never trained",
        "sees the middle square of one picture at 224 x 224 pixels",
    ),
)
_MED_ALPACA_POCKET = ModelCard(
    name="visual-med-alpaca-pocket",
    weights="ship with it",
    summary="a router of image types, experts that turn an image into text, and SmolLM2-135M-Instruct told what they say; offline",
    tasks=(Task.VQA,),
    licence="Apache-2.0",
    modalities=("CR", "DX", "CT", "MR"),
    body_parts=("CHEST", "ABDOMEN", "HEAD", "BRAIN", "PELVIS", "NECK"),
    languages=("en",),
    context=8192,
    image_tokens=0,
    parameters=287_044_489,
    source="python -m vesalius.train.router",
    revision="1",
    limits=(
        "the language model sees no pixel: what the expert does not say is lost",
        "ultrasound, histopathology and photographs have no expert: such questions are not answered",
        "stained tissue, plots and most photographs and ultrasound that the router learned are drawn, and one real ultrasound examination was mostly missed",
        "of an ECG strip it measures the rate, nothing else",
    ),
    measured=(
        "router, held out, X-ray: 134 of 134, 100.0 (97.2–100.0)",
        "router, held out, CT: 97 of 97, 100.0 (96.2–100.0)",
        "router, held out, MR: 37 of 39, 94.9 (83.1–98.6)",
        "router, held out, ultrasound: 67 of 80, 83.8 (74.2–90.2); of one real examination 7 of 20, the rest drawn",
        "router, held out, ECG strip: 60 of 60, 100.0 (94.0–100.0)",
        "router, held out, photograph: 79 of 80, 98.8 (93.2–99.8)",
        "router, held out, plot or table, histopathology and other: 60 of 60 each, 100.0 (94.0–100.0), all drawn",
    ),
)
_MED_ALPACA = ModelCard(
    name="visual-med-alpaca-7b",
    weights="to be supplied",
    summary="Visual Med-Alpaca: LLaMA-7B with a LoRA adapter, told what Med-GIT and DePlot say; weights to be supplied",
    tasks=(Task.VQA,),
    licence="Apache-2.0 (code); LLaMA's licence and the terms of the answers it learnt from make it non-commercial",
    modalities=("CR", "DX", "CT", "MR"),
    body_parts=("CHEST", "ABDOMEN", "HEAD", "BRAIN", "PELVIS", "NECK"),
    languages=("en",),
    context=2048,
    image_tokens=0,
    parameters=6_738_415_616,
    source="github.com/cambridgeltl/visual-med-alpaca",
    revision="2d49088",
    limits=(
        "research only",
        "its authors published no weights and no router: the router is ours",
        "no quantitative evaluation was published",
        "the number of parameters is the language model's; the experts come on top",
    ),
)
_ALL = (
    _POCKET,
    _LLAVA_MED,
    _LLAVA_MED_V1,
    _LLAVA_MED_13B,
    _CHEXAGENT,
    _CHEXAGENT_8B,
    _CHEXAGENT_CHAPTER,
    _LLAVA_RAD,
    _MED_FLAMINGO,
    _MED_ALPACA_POCKET,
    _MED_ALPACA,
    _MEDGEMMA,
    _LINGSHU,
    _KIN,
    _BIOMEDCLIP,
    _MEDSIGLIP,
)
CARDS: Mapping[str, ModelCard] = {c.name: c for c in _ALL}


def check(name: str) -> None:
    """Whether a model can be meant by "NAME", "NAME:WEIGHTS" or "remote:ENDPOINT", without loading anything.

    Raises:
        UnknownName: no model is called that. WeightsError: the folder of weights is absent. ConfigError: the endpoint is not described.
    """
    model, where = _parts(name)
    MODELS.target(model)
    if model == REMOTE:
        from vesalius.models.endpoint import named

        if not where:
            raise ConfigError("which endpoint is meant is missing", remedy="write remote:NAME, with NAME of your endpoints.toml")
        named(where)
    elif where is not None and not Path(where).is_dir():
        raise WeightsError(f"{where}: not a folder of weights", remedy=f"give the folder that 'vesalius train' wrote, or {model!r} alone")


def load(name: str, *, device: str = "auto", precision: str = "auto") -> GenerativeModel:
    """The model called "NAME", with the weights that ship or are published; or "NAME:WEIGHTS", with those in a folder that training wrote.

    Its `identity` says where it computes and how its weights are held.

    Args:
        device: "auto" (a GPU when there is one), "cpu", "cuda", "cuda:1", ... precision: of `memory.PRECISIONS`; "auto" is the fastest dtype there.

    Raises:
        As `check`, and what the model's own loader raises. UnknownName: no such precision.
        UserError: a device that is not here, a precision that it does not bear, or a model that knows neither. MissingExtra: as `quantize.choose`.
    """
    check(name)
    model, where = _parts(name)
    make = MODELS.load(model)
    how = _how(model, make, device, precision)
    if model == REMOTE:
        return make(name=where)  # type: ignore[no-any-return]
    loaded: GenerativeModel = make(**how) if where is None else make(weights=Path(where), **how)
    if "torch" in sys.modules and isinstance(getattr(loaded, "identity", None), dict):
        from vesalius.models.quantize import placed

        loaded.identity.update(placed(loaded))  # type: ignore[attr-defined]
    return loaded


def _how(model: str, make: Any, device: str, precision: str) -> dict[str, Any]:  # noqa: ANN401 - any callable
    """What a loader is to be given beside the weights: only what differs from its defaults, so that a model of another package may know neither."""
    takes = inspect.signature(make).parameters
    if model == REMOTE or "device" not in takes or "dtype" not in takes:
        if (device, precision) != ("auto", "auto"):
            raise UserError(f"{model} does not let device or precision be chosen", remedy="leave them out")
        return {}
    from vesalius.models import quantize

    where = quantize.find_device(device)
    kind = quantize.choose(precision, where)
    return ({} if where == "cpu" else {"device": where}) | ({} if kind is None else {"dtype": kind})


def where(model: GenerativeModel) -> str:
    """Where a loaded model computes, in words: "on cpu in float32"; empty where it does not say."""
    identity = getattr(model, "identity", None)
    known = identity if isinstance(identity, dict) else {}
    return f"on {known['device']} in {known['dtype']}" if {"device", "dtype"} <= known.keys() else ""


def _parts(name: str) -> tuple[str, str | None]:
    model, colon, where = name.partition(":")
    return model, where if colon else None


def card(name: str) -> ModelCard:
    """The card of one of our own models.

    Raises:
        UnknownName: no model of ours is called that; models of other packages bring their card when loaded.
    """
    if name not in CARDS:
        raise unknown("model", name, list(CARDS))
    return CARDS[name]
