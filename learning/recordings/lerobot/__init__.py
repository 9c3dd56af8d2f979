"""Write recordings as LeRobot data sets (v3)."""
