// Cloudflare Workers with a D1 database as DB, in which schema.sql was run, and WEBHOOK_SECRET as a secret.
import { Webhook } from "standardwebhooks";

const NEWS = `INSERT INTO jobs (job, time, sequence) VALUES (?, ?, ?) ON CONFLICT (job) DO UPDATE
  SET time = excluded.time, sequence = excluded.sequence
  WHERE (excluded.time, excluded.sequence) > (jobs.time, jobs.sequence)`;

export default {
  async fetch(request, env) {
    let event;
    try {
      event = new Webhook(env.WEBHOOK_SECRET).verify(await request.text(), Object.fromEntries(request.headers));
    } catch {
      return new Response(null, { status: 401 }); // forged, or nothing that was ever signed
    }
    const job = `${event.object}/${event.job_id}`;
    const { meta } = await env.DB.prepare(NEWS).bind(job, event.timestamp, event.sequence).run();
    if (meta.changes === 0) return Response.json({ handled: false }); // a repeat, or older than what is known
    try {
      await handle(event, env);
    } catch (error) {
      await env.DB.prepare("DELETE FROM jobs WHERE job = ?").bind(job).run(); // so that the next try is news
      throw error;
    }
    return Response.json({ handled: true });
  },
};

// Put the work on a queue: the answer must not wait for it.
async function handle(event, env) {
  console.log(event.type, event.job_id, event.outcome);
}
