// The door before Restate: checks Stripe's signature, hands the event over, and answers 200 once Restate has it.
//
// `/send` is answered when the invocation is in Restate's log. By the idempotency key a repeated hook is no second one.

import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

import { Pool } from "undici";

const { INGRESS, STRIPE_SECRET } = process.env;
const TOLERANCE_S = 300;
const restate = new Pool(INGRESS, { connections: 64 });

const server = createServer(async (hook, answer) => {
  const parts = [];
  for await (const part of hook) parts.push(part);
  const body = Buffer.concat(parts);
  if (!authentic(body, hook.headers["stripe-signature"])) {
    answer.writeHead(400, { "content-length": 0 }).end();
    return;
  }
  const accepted = await handOver(JSON.parse(body).id, body).catch(() => false);
  answer.writeHead(accepted ? 200 : 503, { "content-length": 0 }).end();
});

function authentic(body, header = "") {
  const { t, v1 = "" } = Object.fromEntries(header.split(",").map((part) => part.split("=", 2)));
  const expected = createHmac("sha256", STRIPE_SECRET).update(`${t}.`).update(body).digest();
  const given = Buffer.from(v1, "hex");
  const fresh = Math.abs(Date.now() / 1000 - Number(t)) <= TOLERANCE_S;
  return fresh && given.length === expected.length && timingSafeEqual(given, expected);
}

async function handOver(eventId, body) {
  const answer = await restate.request({
    method: "POST",
    path: "/Delivery/deliver/send",
    headers: { "content-type": "application/octet-stream", "idempotency-key": eventId },
    body,
  });
  await answer.body.dump();
  return answer.statusCode === 202 || answer.statusCode === 200; // 200: it had this key before
}

server.listen(0, "127.0.0.1", () => console.log(`listening on ${server.address().port}`));
