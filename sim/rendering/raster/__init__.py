"""The renderer that draws with NumPy and compiled loops alone: no PyBullet, no GPU."""
