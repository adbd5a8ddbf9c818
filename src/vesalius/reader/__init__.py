"""Asks one question many ways, weighs what it hears, decides: the road from a study to a `Reading`. No torch here: the model brings its own."""

from vesalius.reader.gated import WITHHELD, GatedModel, let_out
from vesalius.reader.opening import bank_of, open_reader
from vesalius.reader.questioning import BLANK, OTHER, Case, Progress, Reader

__all__ = ["BLANK", "OTHER", "WITHHELD", "Case", "GatedModel", "Progress", "Reader", "bank_of", "let_out", "open_reader"]
