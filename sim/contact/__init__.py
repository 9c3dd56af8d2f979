"""Bodies that move freely and touch, scenes to check them, and other engines beside them."""
