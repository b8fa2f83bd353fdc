"""How good, fast and large the model files are, on images that nothing has seen that made them.

Scores, latency, memory. What follows from them is for `statistics`.
"""
