"""Upside-down reinforcement learning, exactly and from samples, and where it fails.

Supervised learners that are told what to achieve learn which action was taken when it happened, a
posterior and no maximum. Arxiv 2205.06595 and 2502.05672.
"""
