"""Mixtures of instruction data: a recipe names sources and how much of each; what comes out is checked for licence, copies and leaks into tests.

In: a recipe (TOML) and a data root. Out: a folder with instructions (JSON lines or shards) and a card that says where they come from and what was left out.
"""

from vesalius.instruct.mix.recipe import Mixture, Part, named, read
from vesalius.instruct.mix.run import Mix, Short, mix

__all__ = ["Mix", "Mixture", "Part", "Short", "mix", "named", "read"]
