"""Target finding with the whole body: all limbs and all cameras at once."""
