"""Studies of a model's behaviour, one file each; none knows another."""
