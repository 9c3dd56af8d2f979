"""Learning algorithms of target finding."""
