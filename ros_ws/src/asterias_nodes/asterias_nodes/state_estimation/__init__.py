"""Joint states from cameras."""
