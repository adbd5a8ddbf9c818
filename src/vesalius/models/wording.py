"""What a model is asked in, as a few digits, so that a record tells when the same weights were asked otherwise.

In: the fixed parts around a question. Out: a hash.
"""

from __future__ import annotations

import hashlib
import json

PROBE = "Is there a fracture?"
"""The question that is put into a prompt to see what surrounds it."""


def digest(*parts: object) -> str:
    """16 hexadecimal digits of SHA-256 over what a prompt is made of, as JSON."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
