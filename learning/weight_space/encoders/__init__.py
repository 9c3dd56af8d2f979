"""Encoders of recurrent networks' weights, and the emulation by which they learn."""
