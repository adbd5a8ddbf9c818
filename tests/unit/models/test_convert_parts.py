"""CheXagent-2 and BiomedCLIP as stock parts, Med-Flamingo by either generation's names: equal to the bit there and back, and loaded by the classes named."""

import json
import shutil

import numpy as np
import pytest
import torch

from tests.checkpoints import biomedclip as tiny_clip
from tests.checkpoints import chexagent as tiny_chex
from tests.checkpoints import med_flamingo as tiny_flamingo
from tests.checkpoints import stock
from vesalius.domain.exchange import Question
from vesalius.errors import ConfigError, WeightsError
from vesalius.models import biomedclip, checkpoint, chexagent, convert, med_flamingo
from vesalius.models.base import Sampling
from vesalius.models.layouts import files, flamingo, parts


def _same(first, last):
    return first.keys() == last.keys() and all(torch.equal(first[n], last[n]) and first[n].dtype == last[n].dtype for n in first)


def _loaded(kind, folder, **options):
    model, info = kind.from_pretrained(folder, dtype=torch.float32, output_loading_info=True, attn_implementation="eager", **options)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert not info["mismatched_keys"]
    return model.eval()


@pytest.fixture(scope="module")
def chex(tmp_path_factory):
    folder = tiny_chex.official(tmp_path_factory.mktemp("chex"))
    tensors = checkpoint.read(folder) | {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.arange(4.0)}  # as older versions stored it
    for path in folder.glob("model*"):
        path.unlink()
    files.write(folder, {n: t.bfloat16() if n.startswith("model.layers") else t for n, t in tensors.items()})
    return folder


@pytest.fixture(scope="module")
def chex_there(chex, tmp_path_factory):
    return convert.convert(chex, tmp_path_factory.mktemp("there") / "chex", "transformers")


def test_chexagent_comes_back_to_the_bit(chex, chex_there, tmp_path):
    assert convert.guess(chex_there) == "chexagent-2-3b"
    back = convert.convert(chex_there, tmp_path / "back", "official")
    assert _same(checkpoint.read(chex), checkpoint.read(back))
    for name in ("config.json", "vocab.json", "merges.txt", "tokenizer_config.json", "tower/config.json"):
        assert (chex / name).read_bytes() == (back / name).read_bytes()
    chexagent.load(weights=back, dtype=torch.float32)


def test_stock_classes_make_of_its_parts_what_chexagent_makes(chex, chex_there):
    from transformers import PhiForCausalLM, SiglipVisionModel

    vision, language = _loaded(SiglipVisionModel, chex_there / "vision_tower"), _loaded(PhiForCausalLM, chex_there / "language_model")
    held = checkpoint.read_file(chex_there / "projector.safetensors")
    ours = chexagent.load(weights=chex, dtype=torch.float32).composition
    projector = chexagent.Projector(*held["pos_embed"].shape, len(held["proj"]))
    projector.load_state_dict(held)
    pixels = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        seen = []  # the stock class gives what follows the final norm; what precedes it is read
        vision.get_submodule(next(n for n, _ in vision.named_modules() if n.endswith("post_layernorm"))).register_forward_pre_hook(
            lambda m, a: seen.append(a[0])
        )
        vision(pixel_values=pixels)
        image = projector(seen[0])
        words = language.get_input_embeddings()(torch.tensor([[5, 6, 7]]))
        theirs = language(inputs_embeds=torch.cat((image, words), dim=1)).logits[0]
        mine = chexagent.logits(ours, [[chexagent.IMAGE, 5, 6, 7]], pixels)[0]
    torch.testing.assert_close(mine, theirs, atol=2e-5, rtol=0)
    assert (mine - mine.roll(1, 0)).abs().max() > 1e-2


@pytest.mark.parametrize("part", ["projector.safetensors", "vision_tower", "language_model", "official"])
def test_half_of_a_converted_chexagent_is_refused(chex_there, tmp_path, part):
    folder = shutil.copytree(chex_there, tmp_path / "copy")
    shutil.rmtree(folder / part) if (folder / part).is_dir() else (folder / part).unlink()
    with pytest.raises(WeightsError):
        convert.convert(folder, tmp_path / "back", "official", "chexagent-2-3b")
    assert [p.name for p in tmp_path.iterdir()] == ["copy"]


@pytest.fixture(scope="module", params=[True, False], ids=["pickled", "safetensors"])
def clip(request, tmp_path_factory):
    return tiny_clip.official(tmp_path_factory.mktemp("clip"), pickled=request.param)


def test_biomedclip_comes_back_to_the_bit(clip, tmp_path):
    there = convert.convert(clip, tmp_path / "there", "transformers")
    assert convert.guess(there) == "biomedclip"
    back = convert.convert(there, tmp_path / "back", "official")
    stored = next(clip / name for name in biomedclip.FILES if (clip / name).exists())
    first = checkpoint.read_file(stored)
    assert "text.transformer.embeddings.position_ids" in first
    assert _same(first, checkpoint.read_file(back / "open_clip_model.safetensors"))
    for name in ("open_clip_config.json", "vocab.txt", "tokenizer_config.json", "text/config.json"):
        assert (clip / name).read_bytes() == (back / name).read_bytes()
    one, two = (biomedclip.load(weights=folder, dtype=torch.float32) for folder in (clip, back))
    np.testing.assert_allclose(one.embed_texts(["chest x ray"]), two.embed_texts(["chest x ray"]), atol=1e-6)


def test_stock_classes_make_of_its_parts_what_biomedclip_makes(clip, tmp_path):
    from transformers import BertModel, ViTModel

    there = convert.convert(clip, tmp_path / "there", "transformers")
    vision, text = _loaded(ViTModel, there / "vision_model", add_pooling_layer=False), _loaded(BertModel, there / "text_model", add_pooling_layer=False)
    heads = checkpoint.read_file(there / "heads.safetensors")
    model = biomedclip.load(weights=clip, dtype=torch.float32)
    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(4))
    ids = torch.tensor([[2, 9, 14, 3], [2, 20, 3, 0]])
    with torch.no_grad():
        image = vision(pixel_values=pixels).last_hidden_state[:, 0] @ heads["visual.head.proj.weight"].T
        words = text(input_ids=ids, attention_mask=ids != 0).last_hidden_state[:, 0] @ heads["text.proj.0.weight"].T
        words = torch.nn.functional.gelu(words) @ heads["text.proj.2.weight"].T
        ours = model.net.images(pixels), model.net.texts(ids, ids != 0)
    for mine, theirs in zip(ours, (image, words), strict=True):
        torch.testing.assert_close(mine, torch.nn.functional.normalize(theirs, dim=-1), atol=1e-5, rtol=0)
    assert set(heads) == {"visual.head.proj.weight", "text.proj.0.weight", "text.proj.2.weight", "logit_scale"}


def test_a_damaged_biomedclip_is_refused(clip, tmp_path):
    folder = shutil.copytree(clip, tmp_path / "copy")
    for name in biomedclip.FILES:
        (folder / name).unlink(missing_ok=True)
    with pytest.raises(WeightsError, match=r"holds no weights of open_clip"):
        convert.convert(folder, tmp_path / "x", "transformers")
    (folder / "open_clip_pytorch_model.bin").write_bytes(b"no")
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        convert.convert(folder, tmp_path / "x", "transformers")
    there = convert.convert(clip, tmp_path / "there", "transformers")
    tensors = checkpoint.read(there / "vision_model")
    for path in (there / "vision_model").glob("model*"):
        path.unlink()
    files.write(there / "vision_model", {n: t for n, t in tensors.items() if n != "encoder.layer.1.attention.attention.key.bias"})
    with pytest.raises(WeightsError, match=r"'encoder\.layer\.1\.attention\.attention\.key\.bias' is absent"):
        convert.convert(there, tmp_path / "x", "official")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["copy", "there"]


def _whole(folder):
    """The older code's full state: frozen layers once, the whole of CLIP."""
    held = tiny_flamingo.trained(tiny_flamingo.Size(), 0, "2.x whole")
    older = {}
    for name, tensor in held.items():
        if name.startswith("vision_encoder."):
            older[name.replace("vision_encoder.", "vision_encoder.visual.", 1)] = tensor
        elif not name.startswith("lang_encoder.old_decoder_blocks."):
            older[name] = tensor
    older |= {"vision_encoder.logit_scale": torch.tensor(4.6), "vision_encoder.token_embedding.weight": torch.ones(3, 4)}
    torch.save(older, folder / "model.pt")


def _answer(folder):
    model = tiny_flamingo.load(folder)
    return model.answer(model.encode(stock.study(shape=(30, 40))), [Question("Is there a mass?")], Sampling(0, 4))


@pytest.mark.parametrize(("layout", "other"), [("0.0.2", "2.x"), ("0.0.2 whole", "2.x"), ("2.x", "0.0.2"), ("2.x whole", "0.0.2")])
def test_flamingo_comes_back_to_the_bit(tmp_path, layout, other):
    source = tiny_flamingo.official(tmp_path / "source", layout=layout.replace("0.0.2 whole", "0.0.2"))
    if layout == "0.0.2 whole":
        _whole(source)
    there = convert.convert(source, tmp_path / "there", other)
    back = convert.convert(there, tmp_path / "back", layout.removesuffix(" whole"))
    first, middle, last = (checkpoint.read_file(f / "model.pt") for f in (source, there, back))
    assert _same(first, last)
    assert first.keys() != middle.keys()
    assert _answer(source) == _answer(there) == _answer(back)
    mine, theirs = (med_flamingo.there_to_here(t) for t in (first, middle))
    assert _same(mine, theirs)


def test_the_generations_store_what_open_flamingo_stores(tmp_path):
    size = tiny_flamingo.Size()
    for layout, made_of in (("2.x", "0.0.2"), ("0.0.2", "2.x"), ("2.x whole", "0.0.2 whole")):
        folder = tiny_flamingo.official(tmp_path / f"from {made_of}", layout=made_of.replace("0.0.2 whole", "0.0.2"))
        if made_of == "0.0.2 whole":
            _whole(folder)
        there = convert.convert(folder, tmp_path / f"to {layout}", layout.removesuffix(" whole"))
        assert checkpoint.read_file(there / "model.pt").keys() == tiny_flamingo.trained(size, 0, layout).keys()


def test_copies_that_differ_and_other_files_are_refused(tmp_path):
    source = tiny_flamingo.official(tmp_path / "source")
    held = torch.load(source / "model.pt", weights_only=True)
    spoilt = {n: t + 1 if n == "lang_encoder.gated_cross_attn_layers.3.attn_gate" else t for n, t in held.items()}
    torch.save(spoilt, source / "model.pt")
    with pytest.raises(WeightsError, match="differs from the other copy"):
        convert.convert(source, tmp_path / "x", "2.x")
    torch.save({"perceiver.latents": torch.zeros(2, 2)}, source / "model.pt")
    with pytest.raises(WeightsError, match="holds no gated layers"):
        convert.convert(source, tmp_path / "x", "2.x")
    (source / "model.pt").write_bytes(b"")
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        convert.convert(source, tmp_path / "x", "2.x")
    with pytest.raises(ConfigError, match=r"no layout of med-flamingo-9b is called 'transformers': use 0\.0\.2 or 2\.x"):
        convert.convert(source, tmp_path / "x", "transformers")
    assert [p.name for p in tmp_path.iterdir()] == ["source"]


def test_folders_beside_are_copied_where_they_cannot_be_linked(tmp_path, monkeypatch):
    source = tiny_flamingo.official(tmp_path / "source")

    def refuse(*_):
        raise OSError("another disk")

    monkeypatch.setattr(flamingo.os, "link", refuse)
    there = convert.convert(source, tmp_path / "there", "2.x")
    assert (there / "llama" / "config.json").read_bytes() == (source / "llama" / "config.json").read_bytes()
    assert (there / "clip" / "model.safetensors").stat().st_ino != (source / "clip" / "model.safetensors").stat().st_ino


def test_a_stopped_conversion_leaves_nothing(chex, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(parts.files, "write_one", stop)
    with pytest.raises(KeyboardInterrupt):
        convert.convert(chex, tmp_path / "x", "transformers")
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(parts.files, "write_one", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(WeightsError, match=r"cannot be written .No space left on device"):
        convert.convert(chex, tmp_path / "x", "transformers")
    assert not list(tmp_path.iterdir())


def test_the_rest_is_kept_apart(chex_there):
    assert checkpoint.read_file(chex_there / "rest.safetensors").keys() == {"model.layers.0.self_attn.rotary_emb.inv_freq"}
    assert json.loads((chex_there / "vision_tower" / "config.json").read_text())["vision_use_head"] is True
