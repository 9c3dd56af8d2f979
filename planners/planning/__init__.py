"""Plan a path on one map: exact search and learned planners behind one interface."""
