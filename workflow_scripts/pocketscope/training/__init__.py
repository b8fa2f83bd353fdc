"""Train a network on a label set: supervised, or by FixMatch and MixMatch.

Batches, augmentation, the optimiser, the loop, the history of epochs, and what a training writes. Where labels come
from is not known here.
"""
