"""Continuous fast-weight programmers (arXiv 2206.01649), and joint states from cameras alone.

``core`` has update rules, integration and paths; ``estimation`` the estimator of a limb's joint
states from irregular pictures; ``studies`` what was measured.
"""
