"""Frozen nouns, ids, states and the table of legal moves, retry arithmetic, limits, errors; pure, no I/O, no clock."""
