"""Highway DQN on stable-baselines3: replay of trajectories, gates, learner."""
