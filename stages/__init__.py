"""The stages of the study, each a command: python -m stages.<name>."""

import os
import signal
import sys
from pathlib import Path

from stages.core.runtime.paths import home

if home() is None:  # as in a container: libraries would make a folder named '~' here for caches
    for variable in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        os.environ.setdefault(variable, str(Path(".dvc/tmp/home").absolute()))

if sys.argv[0] == "-m":  # so it is until Python has found the module that it is to run
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Nothing is begun yet: Ctrl-C ends the seconds of importing at once, without a traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if "DVC_STAGE" in os.environ:
        from stages.core.runtime.interruption import end_with

        end_with(os.getppid())
