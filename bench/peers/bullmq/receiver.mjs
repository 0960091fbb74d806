// Takes hooks in: checks Stripe's signature over the raw body, adds a job, and answers when Redis has answered.

import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

import { Queue } from "bullmq";

const { REDIS_PORT, STRIPE_SECRET } = process.env;
const TOLERANCE_S = 300; // Stripe's own libraries have this one

const queue = new Queue("hooks", {
  // An add fails at once while Redis is away, so that the provider hears of it: BullMQ's guide to production.
  connection: { host: "127.0.0.1", port: Number(REDIS_PORT), enableOfflineQueue: false },
  defaultJobOptions: {
    attempts: 10,
    backoff: { type: "exponential", delay: 1_000 },
    // The guide's example. What is gone is known as a duplicate no more.
    removeOnComplete: { age: 3_600, count: 1_000 },
    removeOnFail: { age: 24 * 3_600 },
  },
});
queue.on("error", () => {}); // each add that fails says so itself
await queue.waitUntilReady();

const server = createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", async () => {
    const status = await take(request, Buffer.concat(chunks)).catch(() => 503);
    response.writeHead(status, { "Content-Length": 0 }).end();
  });
});
server.listen(0, "127.0.0.1", () => console.log(`ready ${server.address().port}`));

process.on("SIGTERM", async () => {
  server.close();
  server.closeAllConnections();
  await queue.close();
});

/** The status that answers it: 200 when the job is in the queue, whether it was there before or not. */
async function take(request, body) {
  if (request.method !== "POST" || request.url !== "/webhooks/stripe") return 404;
  if (!isAuthentic(request.headers["stripe-signature"] ?? "", body)) return 400;
  const text = body.toString("utf8");
  await queue.add("hook", text, { jobId: JSON.parse(text).id });
  return 200;
}

function isAuthentic(header, body) {
  const fields = header.split(",").map((field) => field.split("="));
  const time = fields.find(([name]) => name === "t")?.[1] ?? "";
  if (!(Math.abs(Date.now() / 1_000 - Number(time)) <= TOLERANCE_S)) return false;
  const expected = createHmac("sha256", STRIPE_SECRET).update(`${time}.`).update(body).digest();
  return fields.some(([name, value]) => {
    const given = Buffer.from(value ?? "", "hex");
    return name === "v1" && given.length === expected.length && timingSafeEqual(given, expected);
  });
}
