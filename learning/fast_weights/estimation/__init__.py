"""Joint states of a limb from the pictures of its cameras as they come."""
