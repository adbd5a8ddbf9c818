"""Text burned into pixels: which images to read, what is written in them, and the same image without it.

In: a pydicom dataset. Out: `triage.triage` says whether to read it, `reading.Reader` reads, `redact.redact` gives a new dataset with every text filled but
an allow-list of words that name nobody. Reading needs the extra `deidentify`; importing this package loads nothing.
"""
