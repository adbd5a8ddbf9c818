"""Tiny random checkpoints in the layouts that models are published in: right names, right files, right shards, small numbers."""
