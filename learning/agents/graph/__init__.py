"""Graphs of language agents: nodes, messages, execution, optimisation."""
