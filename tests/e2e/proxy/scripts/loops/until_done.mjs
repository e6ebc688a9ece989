// Generate a post and wait until all of its items are completed, with growing pauses.
const { API, KEY, PERSONA, SOURCE_POST, PACE } = process.env;
const headers = { Authorization: `Bearer ${KEY}`, "Content-Type": "application/json" };

async function call(method, path, body) {
  const answer = await fetch(API + path, { method, headers, body: body && JSON.stringify(body) });
  const json = await answer.json();
  return json.data ?? json;
}

async function pollUntilDone(read, isDone, { first = 5000, longest = 60000, tries = 60 } = {}) {
  let pause = first;
  for (let made = 0; made < tries; made++) {
    const found = await read();
    if (isDone(found)) return found;
    await new Promise((resolve) => setTimeout(resolve, pause * Number(PACE)));
    pause = Math.min(pause * 1.5, longest);
  }
  throw new Error("no end in sight");
}

const { generated_post_id } = await call("POST", "/v1/generate", { source_post_id: SOURCE_POST, persona_id: PERSONA });
const post = await pollUntilDone(
  () => call("GET", `/v1/generated-posts/${generated_post_id}`),
  (found) => found.status === "completed" && found.media_items.every((item) => item.status === "completed"),
);
console.log(post.id, post.status);
