"""Learners compared at equal computing time, by Languini's protocol (arXiv 2309.11197)."""
