"""Draw what simulated cameras see."""
