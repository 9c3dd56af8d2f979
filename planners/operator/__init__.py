"""The bodies of the value-iteration operator: one mathematics, written for different machines."""
