"""From views to a map: the mapper network, map belief and exploration."""
