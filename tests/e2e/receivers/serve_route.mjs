// Serves a route handler of Next.js, which takes and returns what fetch does, without Next.js itself.
import { createServer } from "node:http";
import { POST } from "./next-route.mjs";

createServer(async (incoming, outgoing) => {
  const chunks = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const init = { method: "POST", headers: incoming.headers, body: Buffer.concat(chunks) };
  const answer = await POST(new Request("http://localhost/webhook", init));
  outgoing.writeHead(answer.status, Object.fromEntries(answer.headers));
  outgoing.end(Buffer.from(await answer.arrayBuffer()));
}).listen(process.env.PORT, "127.0.0.1", () => console.log("listening"));
