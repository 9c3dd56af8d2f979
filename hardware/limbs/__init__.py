"""The limb driver contract, its safety layers and the bus limb."""
