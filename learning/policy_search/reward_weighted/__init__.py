"""Reward-weighted regression: the exact operator on tables, and its convergence."""
