"""Export recordings as data sets."""
