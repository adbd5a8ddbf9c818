"""Training by a staged recipe: a TOML file in, trained parts and the story of how they came to be out.

`recipe` says what moves when; `order` decides which items come next; `parts` names what moves and proves that the rest did not; `loop` runs
one stage; `checkpoint` makes a killed run continue bit for bit; `progress` and `curve` show it.
Nothing is imported here: `recipe`, `order`, `progress` and `curve` cost no torch.
"""
