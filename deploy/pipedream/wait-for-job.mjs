// A code step of Pipedream: waits for a job and exports its event. Set BRIDGE_URL and BRIDGE_KEY in the
// project's environment, and the job's kind and ID in the step.
export default defineComponent({
  props: {
    kind: { type: "string", default: "sync_job" },
    id: { type: "string" },
  },
  async run({ $ }) {
    if ($.context.run.runs > 1) return $.context.run.callback_request?.body;
    const { resume_url: callbackUrl } = $.flow.suspend(24 * 60 * 60 * 1000);
    const response = await fetch(`${process.env.BRIDGE_URL}/v1/callbacks`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${process.env.BRIDGE_KEY}`,
        "content-type": "application/json",
      },
      body: JSON.stringify({ kind: this.kind, id: this.id, callback_url: callbackUrl, payload: "flat" }),
    });
    if (!response.ok) throw new Error((await response.json()).error.message);
  },
});
