"""Vesalius: runs, trains, tests and serves medical vision-language models, and questions every answer before it lets it out."""

__version__ = "0.1.0"
