"""The kinds of sources: a module each, which lists images as records; `kinds` is the way to all of them.

A new kind of source is a new module and a line in `kinds`. Nothing is decoded here.
"""
