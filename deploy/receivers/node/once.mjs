// Act upon each event once, and upon none that is older than what is known of its job. Node.js 22.13 or later.
import { DatabaseSync } from "node:sqlite";

const db = new DatabaseSync(process.env.WEBHOOK_DB ?? "webhooks.db");
db.exec(`PRAGMA busy_timeout = 10000;
  CREATE TABLE IF NOT EXISTS jobs (job TEXT PRIMARY KEY, time TEXT NOT NULL, sequence INTEGER NOT NULL)`);
const news = db.prepare(`INSERT INTO jobs (job, time, sequence) VALUES (?, ?, ?) ON CONFLICT (job) DO UPDATE
  SET time = excluded.time, sequence = excluded.sequence
  WHERE (excluded.time, excluded.sequence) > (jobs.time, jobs.sequence)`);

// Calls `handle` with an event that is news and returns whether it was; if it throws, nothing is kept.
export function handleOnce(event, handle) {
  db.exec("BEGIN IMMEDIATE");
  try {
    const fresh = news.run(`${event.object}/${event.job_id}`, event.timestamp, event.sequence).changes === 1;
    if (fresh) handle(event);
    db.exec("COMMIT");
    return fresh;
  } catch (error) {
    db.exec("ROLLBACK");
    throw error;
  }
}
