"""Sharing units of work among processes of this machine (`crew`) or machines of a Ray cluster (`cluster`); knows nothing of what the work is."""
