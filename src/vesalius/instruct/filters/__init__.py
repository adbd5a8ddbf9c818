"""Quality filters of instruction data: which generated questions and answers are fit to train on, each drop with its reason and its evidence.

In: a file of JSON lines. Out: the lines that were kept, unchanged; those that were dropped, with reasons; counts. Reading starts at `run.filter_file`.
"""
