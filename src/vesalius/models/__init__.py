"""Models by name. Family files are loaded on use; this page and `cards` import no torch."""
