// Express. Run it: npm install express standardwebhooks && WEBHOOK_SECRET=whsec_… PORT=3000 node express.mjs
import express from "express";
import { Webhook } from "standardwebhooks";
import { handleOnce } from "./once.mjs";

const webhook = new Webhook(process.env.WEBHOOK_SECRET);
const app = express();

// The raw body, before any `express.json()`; its limit is 100 KB unless it is raised.
app.post("/webhook", express.raw({ type: "*/*", limit: "1mb" }), (request, response) => {
  let event;
  try {
    event = webhook.verify(request.body, request.headers);
  } catch {
    return response.sendStatus(401); // forged, or nothing that was ever signed
  }
  response.json({ handled: handleOnce(event, handle) });
});

// Put the work on a queue: the answer must not wait for it.
function handle(event) {
  console.log(event.type, event.job_id, event.outcome);
}

const port = process.env.PORT ?? 3000;
app.listen(port, "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${port}/webhook`));
