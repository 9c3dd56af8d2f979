"""Read, check and write robot descriptions (YAML)."""
