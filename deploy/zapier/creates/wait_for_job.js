"use strict";

// The Zap rests until the bridge calls `callback_url`: no polling, no task spent on it, no limit of 30 seconds.
const perform = async (z, bundle) => {
  const { kind, id, timeout_seconds: timeout } = bundle.inputData;
  const response = await z.request({
    method: "POST",
    url: `${bundle.authData.base_url}/v1/callbacks`,
    body: {
      kind,
      id,
      callback_url: z.generateCallbackUrl(),
      payload: "flat",
      ...(timeout ? { timeout_seconds: timeout } : {}),
    },
  });
  return { callback_id: response.data.id, job_id: response.data.job_id };
};

// What the bridge sends takes the place of what `perform` returned, with the callback's id beside it.
const performResume = (z, bundle) => ({ ...bundle.outputData, ...bundle.cleanedRequest });

module.exports = {
  key: "wait_for_job",
  noun: "Job",
  display: {
    label: "Wait for a Job",
    description: "Waits until a job has ended, and goes on with its result: done, failed, skipped or timed out.",
  },
  operation: {
    inputFields: [
      {
        key: "kind",
        label: "Kind of Job",
        type: "string",
        required: true,
        choices: {
          sync_job: "Sync",
          generated_post: "Generated post",
          generated_media_item: "Generated media item",
          voice_conversion: "Voice conversion",
          outgoing_post: "Outgoing post",
          reelbot_video: "ReelBot video",
        },
      },
      {
        key: "id",
        label: "Job ID",
        type: "string",
        required: true,
        helpText: "The ID that the step which started the job gave you.",
      },
      {
        key: "timeout_seconds",
        label: "Give Up After",
        type: "integer",
        required: false,
        helpText: "Seconds. The Zap then goes on with the outcome `unknown`. Empty: what is usual for such a job.",
      },
    ],
    perform,
    performResume,
    sample: {
      callback_id: "cb_aq2wk7n4xr6tz3bmeh5dcyuvl",
      id: "evt_apbkb4tahmhpt4kenwq3jglgxq",
      type: "generated_post.completed",
      job_id: "5b0d3f1e-9c7a-4e2b-8d6f-1a3c5e7b9d0f",
      status: "completed",
      outcome: "succeeded",
      error_message: "",
      output_urls: "https://cdn.example.com/1.mp4",
    },
    outputFields: [
      { key: "type", label: "Event" },
      { key: "job_id", label: "Job ID" },
      { key: "status", label: "Status" },
      { key: "outcome", label: "Outcome" },
      { key: "error_message", label: "Error" },
      { key: "output_urls", label: "Files, one a line" },
    ],
  },
};
