"""The error that a user can mend, told apart from a fault of the program."""


class InputError(Exception):
    """Something that the user gave is wrong.

    The message names the file, key or class, says what is wrong with it and what to do; it is shown without a
    traceback.
    """
