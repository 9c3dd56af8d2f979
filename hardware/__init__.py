"""What a limb and a camera are: descriptions, contracts, limits, faults and time-outs."""
