// Next.js, App Router: save it as app/webhook/route.js and once.mjs beside it; npm install standardwebhooks.
import { Webhook } from "standardwebhooks";
import { handleOnce } from "./once.mjs";

export const runtime = "nodejs";

export async function POST(request) {
  const webhook = new Webhook(process.env.WEBHOOK_SECRET);
  let event;
  try {
    event = webhook.verify(await request.text(), Object.fromEntries(request.headers));
  } catch {
    return new Response(null, { status: 401 }); // forged, or nothing that was ever signed
  }
  return Response.json({ handled: handleOnce(event, handle) });
}

// Put the work on a queue: the answer must not wait for it.
function handle(event) {
  console.log(event.type, event.job_id, event.outcome);
}
