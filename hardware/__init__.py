"""What a limb and a camera are, and the drivers of real ones: contracts, limits, faults, safety."""
