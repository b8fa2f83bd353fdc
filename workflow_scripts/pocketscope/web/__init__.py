"""The desk: a page in the browser in which people label images, start a study and look at its answers.

It reads images in place, writes labels into the journal and an ordinary configuration file, and starts Snakemake as a
person would. What a network does belongs to the workflow: nothing here imports torch.
"""
