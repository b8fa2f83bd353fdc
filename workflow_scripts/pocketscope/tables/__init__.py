"""The tables that cross from one rule to another: one module a table, with its schema and the few ways to read it.

Rooms of one floor meet here and never in each other's code: a change in one module makes again what reads that table,
and nothing else. How a table's values are found belongs to the room that finds them.
"""
