"""Celery's part: the task that posts an event to the merchant, and the settings that keep a task until it is done."""

import os
import sys

import celery
import urllib3
from celery.signals import worker_ready

from bench.peers.peer import IN_FLIGHT
from bench.peers.signatures import signed

VISIBILITY_S = 30

app = celery.Celery("hooks", broker=os.environ["REDIS_URL"])
app.conf.update(
    task_acks_late=True,  # a task is gone when it is done, not when it was begun
    task_reject_on_worker_lost=True,  # and not when the process that worked on it was lost
    task_ignore_result=True,  # nobody asks for it
    worker_prefetch_multiplier=4,  # the default; with `acks_late` what was prefetched comes back, too
    broker_pool_limit=int(os.environ.get("PUBLISHERS", "10")),  # "based on the number of threads using connections"
    broker_transport_options={
        # What a killed worker had in hand comes back after so long (default: an hour). It has to be longer than a task.
        "visibility_timeout": VISIBILITY_S,
        "unacked_restore_throttle": 1,  # and is looked for every 10 s, as is advised with a short one (default: 100 s)
    },
)
_merchant = urllib3.PoolManager(maxsize=IN_FLIGHT, block=True, retries=False, timeout=15)


@app.task(
    autoretry_for=(Exception,),
    max_retries=None,
    retry_backoff=True,
    retry_backoff_max=VISIBILITY_S // 2,  # a wait longer than the visibility timeout is given to two workers
)
def post(event_id: str, body: str) -> None:
    raw = body.encode()
    answer = _merchant.request("POST", os.environ["SINK_URL"], body=raw, headers=signed(event_id, raw))
    if not 200 <= answer.status < 300:
        raise RuntimeError(f"the merchant answered {answer.status}")


@worker_ready.connect
def say_so(**_: object) -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()
