"""From one published layout of a family's checkpoint to another and back, names changed and nothing else: one file for each kind of family."""
