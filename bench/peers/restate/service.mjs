// The service behind Restate: posts an event to the merchant, signed as Standard Webhooks says.
//
// That `ctx.run` succeeded is kept in Restate's log. When it throws, or this process dies, Restate runs it again.

import { createHmac } from "node:crypto";
import http2 from "node:http2";

import * as restate from "@restatedev/restate-sdk";
import { Pool } from "undici";

// The SDK wants this of Node 22; nothing else in it keeps it from running on 20.
Promise.withResolvers ??= function () {
  const made = {};
  made.promise = new this((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
};

const { PORT, SINK_URL, MERCHANT_SECRET, IN_FLIGHT } = process.env;
const ANSWER_MS_MAX = 15_000;
const sink = new URL(SINK_URL);
const key = Buffer.from(MERCHANT_SECRET.split("_")[1], "base64");
const merchant = new Pool(sink.origin, {
  connections: Number(IN_FLIGHT),
  headersTimeout: ANSWER_MS_MAX,
  bodyTimeout: ANSWER_MS_MAX,
});

const delivery = restate.service({
  name: "Delivery",
  handlers: {
    // As bytes: what is signed is what the provider sent.
    deliver: restate.handlers.handler({ input: restate.serde.binary }, async (ctx, body) => {
      const { id } = JSON.parse(Buffer.from(body));
      await ctx.run("post", () => post(id, body));
    }),
  },
});

async function post(id, body) {
  const timestamp = Math.floor(Date.now() / 1000);
  const signature = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest("base64");
  const answer = await merchant.request({
    method: "POST",
    path: sink.pathname,
    headers: {
      "content-type": "application/json",
      "webhook-id": id,
      "webhook-timestamp": String(timestamp),
      "webhook-signature": `v1,${signature}`,
    },
    body,
  });
  await answer.body.dump();
  if (answer.statusCode >= 300) throw new Error(`the merchant answered ${answer.statusCode}`);
}

http2
  .createServer(restate.createEndpointHandler({ services: [delivery] }))
  .listen(Number(PORT), "127.0.0.1", () => console.log("listening"));
