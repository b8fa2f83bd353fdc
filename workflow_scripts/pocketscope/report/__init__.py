"""The page and the terminal's table that people read: figures, tables, words.

It draws what other rules have decided, and decides nothing. A section of the page is a module in `sections`.
"""
