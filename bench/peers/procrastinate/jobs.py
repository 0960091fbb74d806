"""The job that posts an event to the merchant, and the one that takes up what a dead worker was doing."""

import os

import procrastinate
from procrastinate import JobContext, PsycopgConnector, RetryStrategy

from bench.peers.signatures import signed

HEARTBEAT_S, STALLED_S = 2.0, 10.0
"""A worker says that it lives this often, and is dead when it has not for so long (defaults: 10 and 30 s)."""

app = procrastinate.App(connector=PsycopgConnector(conninfo=os.environ["DATABASE"], min_size=4, max_size=16))


# Again and again, with growing waits: 2, 4, 8 … seconds.
@app.task(name="post", retry=RetryStrategy(exponential_wait=2), pass_context=True)
async def post(context: JobContext, event_id: str, body: str) -> None:
    raw = body.encode()
    merchant = context.additional_context["merchant"]
    async with merchant.post(os.environ["SINK_URL"], data=raw, headers=signed(event_id, raw)) as answer:
        await answer.read()
        answer.raise_for_status()


# The guide's "Retry stalled jobs" (there: every 10 minutes). Without it, what a killed worker was doing is never done.
@app.periodic(cron="* * * * * */5")
@app.task(name="retry_stalled_jobs", queueing_lock="retry_stalled_jobs")
async def retry_stalled_jobs(timestamp: int) -> None:  # noqa: ARG001 - it is told when it was due
    for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_S):
        await app.job_manager.retry_job(job)
