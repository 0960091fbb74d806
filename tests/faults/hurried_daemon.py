"""The real daemon with the same deadlines, only sooner: so a test sees each connection end by itself.

python -m tests.faults.hurried_daemon serve …
"""

from webhookd.admin import publish, reconcile
from webhookd.admin.door import answers
from webhookd.receive import routes, server

BODY_S, KEEPALIVE_S, LINGERING_S = 0.3, 0.4, 0.05

if __name__ == "__main__":
    routes.BODY_S = answers.BODY_S = publish.BODY_S = reconcile.BODY_S = BODY_S
    server.KEEPALIVE_S, server.LINGERING_S = KEEPALIVE_S, LINGERING_S
    from webhookd.cli.app import main  # what takes these over is loaded with it

    main()
