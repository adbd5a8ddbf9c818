"""Studies of what a model does: each asks, records and measures; baselines stand beside every number."""
