"""The bodies of the value-iteration operator: the same mathematics, written for different machines."""
