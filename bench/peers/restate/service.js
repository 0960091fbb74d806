// The service behind Restate: posts one event to the merchant, signed as Standard Webhooks says.
//
// What `ctx.run` did is kept in Restate's log; when it throws, or this process dies, Restate runs it again.

import { createHmac } from "node:crypto";
import { Agent, request } from "node:http";
import http2 from "node:http2";

import * as restate from "@restatedev/restate-sdk";

const { PORT, SINK_URL, ENDPOINT_SECRET } = process.env;
const key = Buffer.from(ENDPOINT_SECRET.replace(/^whsec_/, ""), "base64");
const agent = new Agent({ keepAlive: true });
const ANSWER_MS_MAX = 15_000;

const delivery = restate.service({
  name: "Delivery",
  handlers: {
    // As bytes, since what is signed is what the provider sent.
    deliver: restate.handlers.handler(
      { input: restate.serde.binary, output: restate.serde.empty },
      async (ctx, body) => {
        const event = JSON.parse(Buffer.from(body));
        await ctx.run("post", () => post(event.id, body));
      },
    ),
  },
});

function post(eventId, body) {
  const timestamp = Math.floor(Date.now() / 1000);
  const signature = createHmac("sha256", key).update(`${eventId}.${timestamp}.`).update(body).digest("base64");
  return new Promise((resolve, reject) => {
    const headers = {
      "content-type": "application/json",
      "content-length": body.length,
      "webhook-id": eventId,
      "webhook-timestamp": timestamp,
      "webhook-signature": `v1,${signature}`,
    };
    const sent = request(SINK_URL, { agent, method: "POST", headers, timeout: ANSWER_MS_MAX }, (answer) => {
      answer.resume();
      const ok = answer.statusCode >= 200 && answer.statusCode < 300;
      answer.on("end", () => (ok ? resolve() : reject(new Error(`the merchant answered ${answer.statusCode}`))));
    });
    sent.on("timeout", () => sent.destroy(new Error("the merchant was silent")));
    sent.on("error", reject);
    sent.end(body);
  });
}

http2.createServer(restate.createEndpointHandler({ services: [delivery] })).listen(Number(PORT), "127.0.0.1");
