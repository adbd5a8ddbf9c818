"""Data sets as exchanges: one file each with its card, its splits and its quirks; drawn phantoms for when there is no data at all."""
