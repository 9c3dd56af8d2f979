"""Fingerprints of policies: what they do in a few learned states, and what that tells of them."""
