// Posts what is in the queue to the merchant, signed as Standard Webhooks are.

import { createHmac } from "node:crypto";

import { Worker } from "bullmq";
import { Pool } from "undici";

const { REDIS_PORT, SINK_URL, MERCHANT_SECRET, IN_FLIGHT } = process.env;
const ATTEMPT_MS_MAX = 15_000;

const key = Buffer.from(MERCHANT_SECRET.slice("whsec_".length), "base64");
const { origin, pathname } = new URL(SINK_URL);
const merchant = new Pool(origin, {
  connections: Number(IN_FLIGHT),
  headersTimeout: ATTEMPT_MS_MAX,
  bodyTimeout: ATTEMPT_MS_MAX,
});

const worker = new Worker("hooks", ({ id, data }) => post(id, data), {
  connection: { host: "127.0.0.1", port: Number(REDIS_PORT), maxRetriesPerRequest: null }, // as the guide asks of workers
  concurrency: Number(IN_FLIGHT),
});
worker.on("error", () => {}); // it connects again by itself
await worker.waitUntilReady();
console.log("ready");

process.on("SIGTERM", async () => {
  await worker.close();
  await merchant.close();
});

async function post(id, body) {
  const time = Math.floor(Date.now() / 1_000);
  const signature = createHmac("sha256", key).update(`${id}.${time}.${body}`).digest("base64");
  const answer = await merchant.request({
    method: "POST",
    path: pathname,
    headers: {
      "content-type": "application/json",
      "webhook-id": id,
      "webhook-timestamp": String(time),
      "webhook-signature": `v1,${signature}`,
    },
    body,
  });
  await answer.body.dump();
  if (answer.statusCode < 200 || answer.statusCode > 299) throw new Error(`answered ${answer.statusCode}`);
}
