"""Record, replay and mark episodes."""
