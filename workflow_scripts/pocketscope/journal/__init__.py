"""The labels that people give of a data set: one append-only file, which the command line and the desk share.

A deed is what a person does at once: labels of some images, a category that is renamed, the exam that is set aside, an
undo. Deeds are appended and never changed; what holds now is what follows from them. Nothing here knows of packed
images, studies or Snakemake, and nothing of it needs more than the standard library until a table is exported.
"""
