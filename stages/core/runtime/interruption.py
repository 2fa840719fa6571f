"""Processes that end at once when they are told to, and leave none behind."""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import resource_tracker
from types import FrameType

PR_SET_PDEATHSIG = 1  # of Linux's prctl.h
THREADS_OF_A_POOL = ("ExecutorManagerThread", "QueueFeederThread")  # loky's


def end_with(parent: int) -> None:
    """Have the kernel kill this process as soon as `parent`, which started it, has ended (Linux).

    A process that is killed, as by the system where memory runs out, cannot end those that it
    started: they would go on writing while the next run makes the same outputs.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it had ended before
            os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let the first Ctrl-C raise KeyboardInterrupt, for the cleaning up, and a second one kill.

    Where Ctrl-C is ignored, as in a job of a script's background, it stays so.
    """
    handler = signal.getsignal(signal.SIGINT)
    hook, thread_hook = sys.unraisablehook, threading.excepthook
    if handler is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupt_once)
    sys.unraisablehook = partial(_interrupt_again, hook)
    threading.excepthook = partial(_unless_interrupted, thread_hook)
    try:
        yield
    except KeyboardInterrupt:
        _end_pool()
        raise
    finally:
        sys.unraisablehook, threading.excepthook = hook, thread_hook
        signal.signal(signal.SIGINT, handler)


def _end_pool() -> None:
    """End the pool that processes are kept in for later work, if there is one.

    Its threads clean up; broken off by the end of this process they would complain.
    """
    threads = [each for each in threading.enumerate() if each.name in THREADS_OF_A_POOL]
    if threads:
        from joblib.externals.loky import get_reusable_executor  # here, for it was imported then

        get_reusable_executor(reuse=True).shutdown(kill_workers=True)
    for thread in threads:
        thread.join(timeout=5)


def _interrupt_once(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise KeyboardInterrupt


def _unless_interrupted(hook: Callable, failed: "threading.ExceptHookArgs") -> None:
    """Say what a thread raised, but not that a pool was taken away from its thread by Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_DFL:
        hook(failed)


def _interrupt_again(hook: Callable, lost: "sys.UnraisableHookArgs") -> None:
    """Send a KeyboardInterrupt anew that came in a destructor, of which Matplotlib has many."""
    if lost.exc_type is KeyboardInterrupt:
        signal.signal(signal.SIGINT, _interrupt_once)
        threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT)).start()
    else:
        hook(lost)


@contextmanager
def deaf_children() -> Iterator[None]:
    """Let processes that are started here miss Ctrl-C: this one ends them, without their word.

    Ctrl-C here waits meanwhile. A signal mask, unlike a handler, is inherited.
    """
    resource_tracker.ensure_running()  # Python 3.11's unblocks the signal when it starts
    with postponed_interrupt():
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def postponed_interrupt() -> Iterator[None]:
    """Let Ctrl-C wait until the end: what it would break off here leaves things behind.

    A signal mask alone does not do that: it holds for one thread, and a library's other thread,
    as OpenBLAS has, may hear the signal for this one.
    """
    handler, heard = signal.getsignal(signal.SIGINT), []
    if callable(handler):
        signal.signal(signal.SIGINT, lambda number, _frame: heard.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if heard:
            signal.raise_signal(signal.SIGINT)
