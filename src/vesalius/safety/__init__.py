"""The gate: signals about an answer, a policy, a decision. Pure functions of data; no model, no data set, no torch."""
