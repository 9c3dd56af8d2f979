"""What all algorithms share: policies as vectors, rollouts, statistics, tables, the learner."""
