"""The second reader: looks everywhere in what is to be given away for everything that was taken out.

It shares no code and no table with the engine that removes: what it searches for is whatever the source says and the result does not, whoever decided so.
In: source and result, texts before and after, words read in the pixels. Out: a `Verdict`; no hit, message or repr holds a value.
"""

from vesalius.formats.deidentify.verify.search import Hit, Place, Verdict, verify
from vesalius.formats.deidentify.verify.secrets import Kind, Secret, Secrets

__all__ = ["Hit", "Kind", "Place", "Secret", "Secrets", "Verdict", "verify"]
