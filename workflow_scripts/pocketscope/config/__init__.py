"""What a user may write into a configuration file: typed, with defaults, checked before anything runs.

One module a topic; `study` puts them together. A value's meaning and limits belong here. What follows from the values
(runs, paths, resources) is the plan's.
"""
