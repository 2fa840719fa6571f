"""The one exception for what a user can mend."""


class StudyError(Exception):
    """Bad input or a limit of the machine, said in one line: where, what, and the mend.

    The command line prints the message alone and exits with code 1. Anything else that is
    raised is a defect of the program and keeps its traceback.
    """
