"""What holds for all tests."""

from __future__ import annotations

import signal

# A shell that starts the tests in the background has SIGINT ignored, which all processes inherit. Here it is Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
