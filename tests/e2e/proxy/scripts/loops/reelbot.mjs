// Render a video and wait for it.
const { API, KEY, PACE } = process.env;
const headers = { "X-API-Key": KEY, "Content-Type": "application/json" };
const body = JSON.stringify({ videoType: "cinematic", topic: "three facts about octopuses", brollKeys: ["sea.mp4"] });
const begun = await fetch(`${API}/v1/video/generate`, { method: "POST", headers, body });
const { projectId } = await begun.json();
for (let made = 0; ; made++) {
  if (made === 120) throw new Error("no end after ten minutes");
  const answer = await fetch(`${API}/v1/video/status/${projectId}`, { headers });
  const video = await answer.json();
  if (video.status === "failed") throw new Error(video.error);
  if (video.status === "completed") {
    console.log(projectId, video.status);
    break;
  }
  await new Promise((resolve) => setTimeout(resolve, 5000 * Number(PACE)));
}
