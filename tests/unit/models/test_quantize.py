"""Linear maps in int8: how far they may be off, where they are exact, what they leave, what they take; and what may be asked for where."""

import copy
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.checkpoints import llava_med as tiny
from tests.checkpoints.table import BUILDERS
from vesalius.domain.exchange import Question
from vesalius.domain.study import Image, Intensity, Modality, single
from vesalius.errors import MissingExtra, UnknownName, UserError, WeightsError
from vesalius.models import cards, llava_med, memory, pocket, quantize
from vesalius.models.base import GREEDY
from vesalius.models.cards import MODELS
from vesalius.models.quantize import Int8Linear, Packed, to_int8

INT8 = Packed("int8", torch.float32)
QUESTION = Question("Is there a mass in the liver?")


def _linear(outside=70, inside=48, *, bias=True, seed=0):
    torch.manual_seed(seed)
    return nn.Linear(inside, outside, bias=bias)


def _study():
    pixels = np.random.default_rng(0).uniform(0, 1000, (1, 60, 50)).astype(np.float32)
    return single(Image(pixels, Intensity.RELATIVE, Modality.CR, body_part="CHEST"))


class _Model(nn.Module):
    """A little of everything."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed_tokens = nn.Embedding(30, 64)
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(4))
        self.shared = self.layers[0]
        self.look = nn.MultiheadAttention(64, 4, batch_first=True)
        self.norm = nn.LayerNorm(64)
        self.lm_head = nn.Linear(64, 30, bias=False)
        self.lm_head.weight = self.embed_tokens.weight

    def forward(self, ids):
        x = self.embed_tokens(ids)
        for layer in self.layers:
            x = functional.gelu(layer(x)) + self.shared(x)
        return self.lm_head(self.norm(x + self.look(x, x, x)[0]))


@pytest.mark.parametrize("block", [1, 48, 200, 1 << 20])
def test_every_weight_is_off_by_half_a_step_at_most(monkeypatch, block):
    monkeypatch.setattr(quantize, "_BLOCK", block)  # however few rows are widened at a time
    linear = _linear()
    packed = Int8Linear.of(linear)
    step = linear.weight.abs().amax(1, keepdim=True) / 127
    back = packed.weight.float() * packed.scale[:, None]
    assert packed.weight.dtype == torch.int8
    assert packed.weight.abs().amax(1).tolist() == [127] * 70
    assert ((back - linear.weight).abs() <= step / 2 * (1 + 1e-5)).all()
    x = torch.randn(3, 5, 48)
    bound = x.abs().sum(-1, keepdim=True) * step[:, 0] / 2
    off = (packed(x) - linear(x)).abs()
    assert (off <= bound + 1e-6).all()
    assert off.max() > 0
    torch.testing.assert_close(packed(x), functional.linear(x, back, linear.bias), atol=1e-5, rtol=1e-5)


def test_integers_are_exact():
    linear = _linear(bias=False)
    linear.weight.data = torch.randint(-127, 128, (70, 48), generator=torch.Generator().manual_seed(1)).float()
    linear.weight.data[:, 0] = 127.0
    linear.weight.data[3] = 0.0
    x = torch.randint(-9, 10, (4, 48), generator=torch.Generator().manual_seed(2)).float()
    packed = Int8Linear.of(linear)
    assert torch.equal(packed.scale, torch.ones(70))
    assert torch.equal(packed(x), linear(x))
    assert torch.equal(packed(x)[:, 3], torch.zeros(4))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrower_inputs_keep_their_dtype_and_range(dtype):
    linear = _linear(outside=8, inside=4096)
    x = torch.full((2, 4096), 2.0, dtype=dtype)
    linear.weight.data.fill_(0.01)
    packed = Int8Linear.of(linear).to(dtype)
    said = packed(x)
    assert said.dtype == dtype  # the sum over integers would be over a million: beyond float16
    torch.testing.assert_close(said.float(), linear(x.float()), rtol=1e-2, atol=1e-2)


def test_company_changes_no_row():
    packed = Int8Linear.of(_linear(500, 300))
    x = torch.randn(64, 300)
    together = packed(x)
    alone = torch.cat([packed(row[None]) for row in x])
    torch.testing.assert_close(together, alone, atol=2e-6, rtol=1e-6)
    assert torch.equal(together, packed(x))
    assert packed(x[:0]).shape == (0, 500)
    assert packed(x[0]).shape == (500,)


def test_the_state_goes_round():
    model = _Model().eval()
    to_int8(model)
    ids = torch.arange(12).reshape(2, 6)
    other = _Model().eval()
    for part in other.parameters():
        nn.init.zeros_(part)
    to_int8(other)
    assert not torch.equal(other(ids), model(ids))
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(ids), model(ids))
    assert model.state_dict()["layers.1.weight"].dtype == torch.int8
    assert model.state_dict()["layers.1.scale"].dtype == torch.float32
    with pytest.raises(RuntimeError, match="size mismatch"):
        Int8Linear(48, 70).load_state_dict(Int8Linear(48, 71).state_dict())
    with pytest.raises(RuntimeError, match="scale"):
        Int8Linear(48, 70).load_state_dict(_linear().state_dict())


def test_what_is_not_a_map_to_be_called_stays():
    model = _Model().eval()
    ids = torch.arange(12).reshape(2, 6)
    before = model(ids)
    assert to_int8(model) == ["shared", "layers.1", "layers.2", "layers.3"]  # one that has two places is named once
    assert model.shared is model.layers[0]
    assert isinstance(model.shared, Int8Linear)
    assert model.lm_head.weight is model.embed_tokens.weight
    assert type(model.look.out_proj) is not Int8Linear
    assert 0 < (model(ids) - before).abs().max() < 0.05 * before.abs().max()
    assert to_int8(_Model(), skip=("layers.1", "lm_head")) == ["shared", "layers.2", "layers.3"]
    assert to_int8(model) == []


def test_it_takes_a_quarter():
    class Stack(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(256, 256, bias=False) for _ in range(3))

    model = Stack()

    def held():
        return sum(t.untyped_storage().nbytes() for t in (*model.parameters(), *model.buffers()))

    before = held()
    to_int8(model)
    assert held() == before // 4 + 3 * 256 * 4


def test_an_old_map_is_let_go_before_the_next_is_made(monkeypatch):
    model = nn.Sequential(*(nn.Linear(8, 8) for _ in range(4)))
    left = []
    make = Int8Linear.of
    monkeypatch.setattr(Int8Linear, "of", lambda linear: left.append(sum(isinstance(m, nn.Linear) for m in model)) or make(linear))
    to_int8(model)
    assert left == [4, 3, 2, 1]


def test_scales_are_not_rounded_with_the_rest():
    packed = Int8Linear.of(_linear())
    before = packed.scale.clone()
    packed.to(torch.bfloat16)
    assert torch.equal(packed.scale, before)
    assert packed.bias.dtype == torch.bfloat16
    assert packed.weight.dtype == torch.int8
    assert packed.to("meta").scale.device.type == "meta"


def test_gradients_reach_the_input_and_nothing_else():
    packed = Int8Linear.of(_linear())
    x = torch.randn(2, 3, 48, requires_grad=True)
    packed(x).square().sum().backward()
    ours = x.grad.clone()
    x.grad = None
    functional.linear(x, packed.weight.float() * packed.scale[:, None], packed.bias).square().sum().backward()
    torch.testing.assert_close(ours, x.grad, atol=1e-5, rtol=1e-5)
    assert not any(p.requires_grad for p in packed.parameters())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_not_finite_is_refused(value):
    linear = _linear()
    linear.weight.data[5, 7] = value
    with pytest.raises(WeightsError, match="not finite"):
        to_int8(nn.Sequential(linear))


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_a_family_is_loaded_in_int8_and_answers_nearly_the_same(name, tmp_path):
    folder = BUILDERS[name](tmp_path / "it")
    scores = []
    for dtype in (torch.float32, INT8):
        model = MODELS.load(name)(weights=folder, dtype=dtype)
        image = model.encode(_study())
        scores.append(model.score(image, QUESTION, ["yes", "no"]))
        told = quantize.placed(model)
        assert told == {"device": "cpu", "dtype": "float32" if dtype is torch.float32 else "int8, computed in float32"}
        assert model.answer(image, [QUESTION])[0].text == model.ask([(image, QUESTION, GREEDY)])[0].text
    assert not np.array_equal(*scores)
    np.testing.assert_allclose(*scores, atol=0.5)


def test_maps_are_packed_from_what_is_stored(tmp_path, monkeypatch):
    """No float32 copy of the model comes first: each map is still in the file's own dtype when it is packed."""
    from safetensors.torch import load_file, save_file

    folder = tiny.official(tmp_path)
    for path in folder.glob("*.safetensors"):
        save_file({n: t.half() for n, t in load_file(path).items()}, path)
    seen = []
    make = Int8Linear.of
    monkeypatch.setattr(Int8Linear, "of", lambda linear: seen.append(linear.weight.dtype) or make(linear))
    composition = llava_med.load(weights=folder, dtype=INT8).composition
    assert set(seen) == {torch.float16}
    wide = [n for n, m in composition.named_modules() if isinstance(m, nn.Linear)]
    assert wide == ["lm.lm_head"]
    assert {t.dtype for t in composition.state_dict().values()} == {torch.float32, torch.int8}


def test_a_model_that_fits_in_int8_only_says_so(tmp_path, monkeypatch):
    folder = tiny.official(tmp_path, tiny.Size(inner=2000))
    with torch.device("meta"):
        vision, language, layer, _ = llava_med.read_config(folder)
        composition = llava_med.llava.build(vision, language, layer=layer)
    total = sum(p.numel() for p in composition.parameters())
    monkeypatch.setattr(memory, "room", lambda device: memory.needed(total, "bfloat16") - 1)
    with pytest.raises(WeightsError, match="free: load it with precision int8, which fits"):
        llava_med.load(weights=folder, dtype=torch.float32)
    llava_med.load(weights=folder, dtype=INT8)
    monkeypatch.setattr(memory, "room", lambda device: memory.needed(total, "int8"))  # embeddings and vocabulary stay wide: that is too little
    with pytest.raises(WeightsError, match="as int8"):
        llava_med.load(weights=folder, dtype=INT8)


@pytest.mark.parametrize("dtype", [torch.bfloat16, INT8])
def test_pocket_keeps_its_statistics_exact_and_answers(dtype):
    model = pocket.load.__wrapped__(dtype=dtype)
    shipped = pocket.read_shipped()
    state = model.composition.state_dict()
    kept = [n for n in shipped if n.startswith("readout.precedents.") or "norm_words" in n]
    assert len(kept) == 2 * pocket.MEMBERS  # the precedents, where weights bring them, and mean and deviation of each fusion
    assert all(torch.equal(state[n], shipped[n]) for n in kept)
    packed = {n for n, m in model.composition.named_modules() if isinstance(m, Int8Linear)}
    assert len(packed) == (0 if dtype is torch.bfloat16 else 7 * 30)
    assert all(n.startswith("lm.model.layers.") for n in packed)
    assert model.answer(model.encode(_study()), [QUESTION])[0].text


def test_what_is_asked_for_is_chosen():
    assert quantize.choose("auto", "cpu") is None
    assert quantize.choose("float32", "cpu") is torch.float32
    assert quantize.choose("bfloat16", "cuda") is torch.bfloat16
    chosen = quantize.choose("int8", "cpu")
    assert chosen.bits == str(chosen) == "int8"
    assert chosen.dtype in (torch.float32, torch.bfloat16)
    with pytest.raises(UserError, match="int4 needs a GPU: give --precision int8"):
        quantize.choose("int4", "cpu")
    with pytest.raises(UnknownName, match="did you mean 'int8'"):
        quantize.choose("int9", "cpu")


@pytest.mark.parametrize(("precision", "package"), [("int8", "torchao"), ("int4", "bitsandbytes")])
def test_a_package_that_packs_for_a_gpu_is_named_when_absent(monkeypatch, precision, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=rf"{precision} on a GPU needs the Python package '{package}': run: pip install 'vesalius\[quantized\]'"):
        quantize.choose(precision, "cuda")


@pytest.mark.parametrize(("bits", "off"), [("int8", 0.02), ("int4", 0.2)])
def test_the_packages_pack_a_map(bits, off):
    """They can do it on a CPU too, slowly; the way they are called is what is tested."""
    pytest.importorskip({"int8": "torchao", "int4": "bitsandbytes"}[bits])
    model = _Model().eval()
    ids = torch.arange(12).reshape(2, 6)
    before = model(ids)
    pack = quantize._package(bits)
    done = quantize._replace(model, quantize.SKIPPED, lambda linear: pack(linear, "cpu", torch.float32))
    model.to(device="cpu", dtype=torch.float32)
    assert done == ["shared", "layers.1", "layers.2", "layers.3"]
    assert quantize.dtype_of(model) == f"{bits}, computed in float32"
    with torch.inference_mode():
        after = model(ids)
    assert 0 < (after - before).norm() < off * before.norm()


def test_a_gpu_gets_maps_of_the_package(monkeypatch):
    """Where a GPU is meant, each map goes through the package's own way, in the dtype of the computation."""
    model = _Model().eval()
    asked = []
    monkeypatch.setattr(quantize, "_package", lambda bits: lambda linear, device, dtype: asked.append((bits, str(device), dtype)) or copy.deepcopy(linear))
    monkeypatch.setattr(nn.Module, "to", lambda self, **_: self)
    quantize.place(model, "cuda", Packed("int4", torch.bfloat16))
    assert asked == [("int4", "cuda", torch.bfloat16)] * 4


def test_devices_are_found_or_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert quantize.find_device() == "cuda"
    assert quantize.find_device("cuda:0") == "cuda:0"
    with pytest.raises(UserError, match="cuda:1 is not here: torch finds 1 GPU"):
        quantize.find_device("cuda:1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert quantize.find_device() == quantize.find_device("cpu") == "cpu"
    for name in ("cuda", "tpu", "meta", ""):
        with pytest.raises(UserError, match="cpu"):
            quantize.find_device(name)


def test_a_loaded_model_says_where_it_is(tmp_path):
    folder = tiny.official(tmp_path)
    model = cards.load(f"llava-med-1.5-7b:{folder}", device="cpu", precision="int8")
    assert model.identity["device"] == "cpu"
    assert model.identity["dtype"] == "int8, computed in float32"
    assert cards.where(model) == "on cpu in int8, computed in float32"
    assert cards.load(f"llava-med-1.5-7b:{folder}", precision="float32").identity["dtype"] == "float32"
    with pytest.raises(UserError, match="remote does not let device or precision be chosen"):
        cards._how(cards.REMOTE, MODELS.load(cards.REMOTE), "auto", "int8")
