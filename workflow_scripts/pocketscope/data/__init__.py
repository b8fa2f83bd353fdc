"""From a source of images to packed, checked and split data sets.

Sources, packing, what is counted and refused, corrections by people, the split into test, validation, labelled and
unlabelled images, near-duplicates. Nothing is trained or predicted here.
"""
