"""What the verbs that look at a running system share: a node, names, types and messages."""
