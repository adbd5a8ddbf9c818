"""De-identification of whole directories: sources found, studies gathered, each cleaned, read a second time, released or set apart.

In: a source folder or archive, a destination, a key, a `Plan`. Out: `release/` to be given away, `private/` to be kept, a `Summary`.
"""

from vesalius.pipeline.archive.plan import Pixels, Plan, Text
from vesalius.pipeline.archive.run import Summary, deidentify_archive
from vesalius.pipeline.archive.sources import require

__all__ = ["Pixels", "Plan", "Summary", "Text", "deidentify_archive", "require"]
