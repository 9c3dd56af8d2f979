"""How gaits are learned: by policy search, and by learners of stable-baselines3."""
