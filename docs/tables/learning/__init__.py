"""Tables of what was learned with fast weights."""
