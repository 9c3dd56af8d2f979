"""Many simulated worlds that are moved and drawn together."""
