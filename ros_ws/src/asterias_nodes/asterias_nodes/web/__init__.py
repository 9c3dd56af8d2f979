"""The web page of the node ``dashboard``: its server, its live channel, its components."""
