"""Interfaces and drivers of limbs and cameras: limits, fault injection, safety."""
