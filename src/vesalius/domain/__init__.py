"""The nouns: what a study, a question, an answer, a finding and a decision are. Frozen, valid by construction, numpy only."""
