"""Runs `webhookd` with a clock that goes a minute ahead whenever it is sent SIGUSR1."""

import signal

from webhookd.cli.app import main
from webhookd.clock import SystemClock

MINUTE_MS = 60_000

if __name__ == "__main__":
    now_ms, minutes = SystemClock.now_ms, []
    signal.signal(signal.SIGUSR1, lambda _number, _frame: minutes.append(MINUTE_MS))
    SystemClock.now_ms = lambda clock: now_ms(clock) + sum(minutes)  # type: ignore[method-assign]
    main()
