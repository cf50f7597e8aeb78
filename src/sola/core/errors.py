"""The one exception that means "your input", as against "our fault"."""


class SolaError(Exception):
    """Bad input, told in one line: the file or value at fault, what was expected, what to do.

    The command prints it on one line of stderr and exits with code 2; every other exception is a fault of
    this package and exits with code 1.
    """
