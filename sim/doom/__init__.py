"""Mazes in ViZDoom: maps written as UDMF text, the engine around them, and views per cell.

Nothing here knows how mazes are drawn: a maze is uint8 ``(H, W)``, 1 = free, row 0 in the north.
"""
