"""Pure functions: arrays and texts in, numbers with intervals out. No model, no data set, no torch."""
