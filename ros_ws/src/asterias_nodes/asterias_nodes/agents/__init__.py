"""Language agents over topics."""
