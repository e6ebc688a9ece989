// Registers, lists and deletes a callback with a client made of the API's own document.
// What TypeScript accepts here, a user's editor accepts too.
import createClient from "openapi-fetch";
import type { components, paths, webhooks } from "./api.mjs";

declare const process: { argv: string[]; exitCode: number };

const [url, key] = process.argv.slice(2) as [string, string];
const client = createClient<paths>({ baseUrl: url, headers: { "X-API-Key": key } });

function take<T>(answer: { data?: T; error?: components["schemas"]["ErrorAnswer"] }): T {
  if (answer.data === undefined) throw new Error(answer.error?.error.message ?? "an empty answer");
  return answer.data;
}

// Three fields are enough: none of the optional ones is demanded.
const made = take(
  await client.POST("/v1/callbacks", {
    body: { callback_url: "inbox:", job_id: "from-typescript", metadata: { order: 42 } },
  }),
);
const single: components["schemas"]["CallbackShape"] = "data" in made ? made.data[0]! : made;
const video = take(
  await client.POST("/v1/callbacks", { body: { webhook_url: "inbox:", projectId: "abcdefghijkl" } }),
);
const listed = take(
  await client.GET("/v1/callbacks", { params: { query: { job_id: "from-typescript" } } }),
);
const changed = take(
  await client.PATCH("/v1/callbacks/{id}", {
    params: { path: { id: single.id } },
    body: { metadata: null, timeout_seconds: 60 },
  }),
);
const gone = take(
  await client.DELETE("/v1/callbacks/{id}", { params: { path: { id: single.id } } }),
);
const refused = await client.POST("/v1/callbacks", { body: { job_id: "1" } });

// A receiver's types: the word of an event decides what is in it.
type Body<Name extends keyof webhooks> =
  webhooks[Name]["post"]["requestBody"]["content"]["application/json"];
function describe(event: Body<"generated_post.partial">): string {
  return `${event.error.code} ${event.data.media_items?.[0]?.url ?? "no file"}`;
}

console.log(
  JSON.stringify({
    kind: single.kind,
    video: video.id.slice(0, 3),
    listed: listed.data.map((each) => each.id === single.id),
    metadata: changed.metadata,
    deleted: gone.deleted,
    refused: refused.error?.error.code,
    receiver: typeof describe,
  }),
);
