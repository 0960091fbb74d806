"""The real daemon, whose backups take so long that a test can do something meanwhile.

python -m tests.daemon.slow_backups serve …
"""

from unittest.mock import patch

from webhookd.cli.app import main
from webhookd.store.sqlite import backup

if __name__ == "__main__":
    with patch.object(backup, "PAGES_TOGETHER", 1), patch.object(backup, "REST_S", 0.02):
        main()
