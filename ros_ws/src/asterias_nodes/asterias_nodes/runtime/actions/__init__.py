"""Actions: servers and clients whose goals are coroutines over events, and waits of those."""
