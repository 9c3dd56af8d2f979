"""VIN, GPPN, Highway VIN and DT-VIN, and the registry of planner networks."""
