"""SIGTERM as Ctrl-C, while a block lasts."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from harness import termination


def test_sigterm_interrupts_the_block_and_is_afterwards_as_before() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), termination.as_interrupt():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_another_thread_than_the_main_one_leaves_signals_alone() -> None:
    handlers = []

    def look() -> None:
        with termination.as_interrupt():
            handlers.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGTERM)]
