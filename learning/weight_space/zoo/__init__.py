"""Many small language models of formal languages, and what encoders read from their weights."""
