// Runs a Worker in Cloudflare's own runtime, with a D1 database in memory.
import { readFileSync } from "node:fs";
import { build } from "esbuild";
import { Miniflare } from "miniflare";

const bundle = await build({ entryPoints: ["worker.mjs"], bundle: true, format: "esm", write: false });
const worker = new Miniflare({
  modules: true,
  script: bundle.outputFiles[0].text,
  compatibilityDate: "2026-01-01",
  host: "127.0.0.1",
  port: Number(process.env.PORT),
  bindings: { WEBHOOK_SECRET: process.env.WEBHOOK_SECRET },
  d1Databases: ["DB"],
});
const database = await worker.getD1Database("DB");
await database.prepare(readFileSync("schema.sql", "utf8")).run();
process.on("SIGTERM", () => worker.dispose().then(() => process.exit(0)));
console.log("ready");
