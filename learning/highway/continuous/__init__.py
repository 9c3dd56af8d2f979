"""The highway target for continuous actions, in front of stable-baselines3's SAC and TD3."""
