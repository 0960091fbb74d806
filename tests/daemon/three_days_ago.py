"""`webhookd …` in a world where it is three days ago."""

from webhookd.cli.app import main
from webhookd.clock import SystemClock

AGO_S = 3 * 86_400

if __name__ == "__main__":
    now_ms = SystemClock.now_ms
    SystemClock.now_ms = lambda clock: now_ms(clock) - AGO_S * 1_000  # type: ignore[method-assign]
    main()
