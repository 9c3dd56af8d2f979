"""Fast weights in continuous time: rules, integration, paths through irregular samples."""
