"""The trust card: runs of the trust suite on one page, as a flat list of figures and as a model card; held against an earlier run by rules."""
