"""The exception for invalid user input."""


class SolaError(Exception):
    """Raised for invalid user input; any other exception is a bug.

    The message is one line: the file or value at fault, what was expected, and how to fix it. The command line prints
    it on stderr and exits with code 2; any other exception exits with code 1.

    Examples:
        >>> import sola
        >>> try:
        ...     sola.SnippetGrid(fps=0)
        ... except sola.SolaError as error:
        ...     print(error)
        fps=0: expected a number above 0
    """
