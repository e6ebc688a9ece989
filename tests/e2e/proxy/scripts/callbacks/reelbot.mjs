// Render a video and have its end called back.
const { API, KEY, HOOK } = process.env;
const headers = { "X-API-Key": KEY, "Content-Type": "application/json", "X-Webhook-URL": HOOK };
const body = JSON.stringify({ videoType: "cinematic", topic: "three facts about octopuses", brollKeys: ["sea.mp4"] });
await fetch(`${API}/v1/video/generate`, { method: "POST", headers, body });
