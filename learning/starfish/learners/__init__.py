"""Learners of whole-body policies: by gradient, by PPO, over whole policies."""
