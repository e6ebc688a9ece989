// Runs a code step of Pipedream once, as its documentation says that it does: STEP RESUME_URL RUNS KIND ID [BODY].
import { pathToFileURL } from "node:url";

const [file, resumeUrl, runs, kind, id, body] = process.argv.slice(2);
globalThis.defineComponent = (component) => component;
const step = (await import(pathToFileURL(file))).default;
const $ = {
  context: { run: { runs: Number(runs), callback_request: body && { body: JSON.parse(body) } } },
  flow: { suspend: () => ({ resume_url: resumeUrl, cancel_url: `${resumeUrl}/cancel` }) },
};
try {
  console.log(JSON.stringify({ exported: (await step.run.call({ kind, id }, { $ })) ?? null }));
} catch (error) {
  console.log(JSON.stringify({ error: error.message }));
}
