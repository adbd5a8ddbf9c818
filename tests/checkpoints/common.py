"""What all builders share: random tensors by name, shards with an index."""

import json

import torch
from safetensors.torch import save_file


def randoms(shapes, seed, *, std=0.2):
    """Tensors of these shapes: norms near 1, everything else around 0, so that no layer is silent."""
    generator = torch.Generator().manual_seed(seed)
    out = {}
    for name, shape in sorted(shapes.items()):
        values = torch.randn(shape, generator=generator) * std
        out[name] = values + 1 if "norm" in name and name.endswith("weight") and len(shape) == 1 else values
    return out


def write_shards(folder, tensors, shards=2):
    """`model-0000i-of-0000n.safetensors` and their index, as `save_pretrained` writes them."""
    folder.mkdir(parents=True, exist_ok=True)
    names, weight_map = list(tensors), {}
    for i in range(shards):
        file = f"model-{i + 1:05d}-of-{shards:05d}.safetensors"
        part = {n: tensors[n].contiguous() for n in names[i::shards]}
        save_file(part, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}))


def write_json(path, value):
    """A JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1))
