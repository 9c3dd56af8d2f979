"""The value-iteration operator: one mathematics, in backends for different machines."""
