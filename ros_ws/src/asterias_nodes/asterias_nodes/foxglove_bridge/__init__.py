"""Live to Foxglove: topics, parameters, the emergency stop, and driving as a source."""
