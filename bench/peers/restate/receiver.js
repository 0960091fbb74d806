// The door in front of Restate: checks Stripe's signature, hands the event over, answers 200 once Restate has it.
//
// `/send` is answered when the invocation is in Restate's log. The idempotency key makes a repeated hook one invocation.

import { createHmac, timingSafeEqual } from "node:crypto";
import { Agent, createServer, request } from "node:http";

const { PORT, INGRESS_PORT, STRIPE_SECRET } = process.env;
const TOLERANCE_S = 300;

// Node's own client with keep-alive costs less than its fetch.
const agent = new Agent({ keepAlive: true });

createServer(async (incoming, answer) => {
  const parts = [];
  for await (const part of incoming) parts.push(part);
  const body = Buffer.concat(parts);
  if (!authentic(body, incoming.headers["stripe-signature"])) return answer.writeHead(400).end();
  try {
    const accepted = await handOver(JSON.parse(body).id, body);
    answer.writeHead(accepted ? 200 : 503, { "content-type": "application/json" }).end('{"status":"accepted"}');
  } catch {
    answer.writeHead(503).end();
  }
}).listen(Number(PORT), "127.0.0.1");

function authentic(body, header = "") {
  const { t, v1 = "" } = Object.fromEntries(header.split(",").map((part) => part.split("=", 2)));
  const expected = createHmac("sha256", STRIPE_SECRET).update(`${t}.`).update(body).digest();
  const given = Buffer.from(v1, "hex");
  const fresh = Math.abs(Date.now() / 1000 - Number(t)) <= TOLERANCE_S;
  return fresh && given.length === expected.length && timingSafeEqual(given, expected);
}

function handOver(eventId, body) {
  return new Promise((resolve, reject) => {
    const options = {
      agent,
      host: "127.0.0.1",
      port: INGRESS_PORT,
      method: "POST",
      path: "/Delivery/deliver/send",
      headers: {
        "content-type": "application/octet-stream",
        "content-length": body.length,
        "idempotency-key": eventId,
      },
    };
    const sent = request(options, (answered) => {
      answered.resume();
      answered.on("end", () => resolve(answered.statusCode === 202 || answered.statusCode === 200));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}
