"""From the bytes of an image file to the pixels that a network sees.

Finding image files, decoding each format, resizing, and the coding of packed images. One way for packing, evaluating
and classifying, so that a shipped model sees what was measured. Free of torch and pandas. What an image means (its
label, its patient, its split) is not known here.
"""
