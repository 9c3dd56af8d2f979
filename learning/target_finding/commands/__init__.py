"""Commands of ``python -m learning`` that train and measure target finding."""
