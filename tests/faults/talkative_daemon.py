"""The real daemon, which says all that it would say to somebody who looks for a mistake in it: its log is at "debug".

python -m tests.faults.talkative_daemon serve …
"""

from functools import partial
from unittest.mock import patch

from webhookd.cli.app import main
from webhookd.observe import logs

if __name__ == "__main__":
    with patch.object(logs, "configure", partial(logs.configure, debug=True)):
        main()
