"""The commands, `pocketscope classify` and others: arguments in, words and exit codes out.

A module a command, imported only when it is asked for. What a command does lives in the rooms below.
"""
