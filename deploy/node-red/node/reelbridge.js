"use strict";

const { createHmac, randomBytes, randomUUID, timingSafeEqual } = require("node:crypto");

const TOLERANCE_S = 300;
const MAX_BYTES = 2 * 1024 * 1024;

const makeSecret = () => `whsec_${randomBytes(32).toString("base64")}`;

// Whether a request bears a signature of Standard Webhooks by a secret `whsec_…`.
function isSigned({ headers }, body, secret) {
  const { "webhook-id": id, "webhook-timestamp": at, "webhook-signature": signatures = "" } = headers;
  if (!(Math.abs(Date.now() / 1000 - Number(at)) <= TOLERANCE_S)) return false;
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const wanted = createHmac("sha256", key).update(`${id}.${at}.`).update(body).digest();
  return signatures.split(" ").some((each) => {
    const given = Buffer.from(each.replace(/^v1,/, ""), "base64");
    return given.length === wanted.length && timingSafeEqual(given, wanted);
  });
}

// The body as it came; undefined where it is too long. Where the editor lies on the same path it has parsed the body
// already; the bridge writes as JSON.stringify does, so that this gives the same text again.
async function readBody(request) {
  if (request.readableEnded) return Buffer.from(JSON.stringify(request.body ?? null));
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > MAX_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function call(bridge, method, path, body) {
  const response = await fetch(bridge.url.replace(/\/+$/, "") + path, {
    method,
    headers: { authorization: `Bearer ${bridge.credentials.key}`, "content-type": "application/json" },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(30_000),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error?.message ?? `the bridge answered ${response.status}`);
  return answer;
}

module.exports = function (RED) {
  // The connection: where the bridge is, its key, and how the bridge reaches this Node-RED.
  function ReelbridgeConfig(config) {
    RED.nodes.createNode(this, config);
    this.url = config.url;
    this.self = config.self.replace(/\/+$/, "");
  }
  RED.nodes.registerType("reelbridge-config", ReelbridgeConfig, { credentials: { key: { type: "password" } } });

  // Takes the calls to a path of this Node-RED, and hands on those that are signed; returns what takes the path away again.
  function listen(path, secret, handle) {
    RED.httpNode.post(path, async (request, response) => {
      const body = await readBody(request);
      if (!body) return response.sendStatus(413);
      if (!isSigned(request, body, secret)) return response.sendStatus(401);
      response.sendStatus(handle(JSON.parse(body), request.params) ? 200 : 410);
    });
    return () => {
      const { stack } = RED.httpNode._router;
      const index = stack.findIndex(({ route }) => route?.path === path);
      if (index >= 0) stack.splice(index, 1);
    };
  }

  // Waits for the job of each message and sends the message on with the event as payload.
  function ReelbridgeWait(config) {
    RED.nodes.createNode(this, config);
    const bridge = RED.nodes.getNode(config.bridge);
    const secret = makeSecret();
    const waiting = new Map();
    const path = `/reelbridge/wait/${this.id}/:token`;
    const show = () => this.status(waiting.size ? { fill: "blue", shape: "ring", text: `${waiting.size} waiting` } : {});

    const stopListening = listen(path, secret, (event, { token }) => {
      const held = waiting.get(token);
      if (!held) return false;
      waiting.delete(token);
      show();
      held.send({ ...held.msg, payload: event });
      held.done();
      return true;
    });

    this.on("input", async (msg, send, done) => {
      const token = randomUUID();
      const job = typeof msg.payload === "object" ? msg.payload : { id: msg.payload };
      waiting.set(token, { msg, send, done });
      show();
      try {
        await call(bridge, "POST", "/v1/callbacks", {
          ...(config.kind ? { kind: config.kind } : {}),
          ...job,
          callback_url: `${bridge.self}${path.replace(":token", token)}`,
          payload: config.form || "full",
          secret,
        });
      } catch (error) {
        waiting.delete(token);
        show();
        done(error);
      }
    });
    this.on("close", stopListening);
  }
  RED.nodes.registerType("reelbridge-wait", ReelbridgeWait);

  // Sends a message for each event: an endpoint at the bridge, made when the flow starts, deleted when the node is.
  function ReelbridgeEvents(config) {
    RED.nodes.createNode(this, config);
    const bridge = RED.nodes.getNode(config.bridge);
    const secret = makeSecret();
    const path = `/reelbridge/events/${this.id}`;
    const url = bridge.self + path;

    const stopListening = listen(path, secret, (event) => {
      this.send({ payload: event });
      return true;
    });

    const subscribe = async () => {
      const { data } = await call(bridge, "GET", "/v1/endpoints?limit=100");
      const fields = { events: config.events || null, payload: config.form || "full", enabled: true };
      const known = data.find((each) => each.url === url);
      if (!known) {
        const made = await call(bridge, "POST", "/v1/endpoints", { url, ...fields, secret, description: "Node-RED" });
        return made.id;
      }
      await call(bridge, "POST", `/v1/endpoints/${known.id}/rotate-secret`, { secret });
      await call(bridge, "PATCH", `/v1/endpoints/${known.id}`, fields);
      return known.id;
    };
    const subscribed = subscribe().then(
      (id) => {
        this.status({ fill: "green", shape: "dot", text: "listening" });
        return id;
      },
      (error) => {
        this.status({ fill: "red", shape: "ring", text: "not subscribed" });
        this.error(error);
      },
    );

    // A restart leaves the endpoint, so that the bridge goes on trying to deliver what falls in between.
    this.on("close", async (removed, done) => {
      stopListening();
      const id = await subscribed;
      if (removed && id) await call(bridge, "DELETE", `/v1/endpoints/${id}`).catch((error) => this.error(error));
      done();
    });
  }
  RED.nodes.registerType("reelbridge-events", ReelbridgeEvents);
};
