"""The evidence picture: one page that shows what was asked, what was said, where it came from and what was decided. Pillow is loaded by `page` only."""
