"""Instruction data from captions and reports: questions and answers about an image, written by a language model, checked, kept and counted."""
