// Generate a post and have its end called back.
const { API, KEY, PERSONA, SOURCE_POST, HOOK } = process.env;
const headers = { Authorization: `Bearer ${KEY}`, "Content-Type": "application/json", "X-Webhook-URL": HOOK };
const body = JSON.stringify({ source_post_id: SOURCE_POST, persona_id: PERSONA });
await fetch(`${API}/v1/generate`, { method: "POST", headers, body });
