"use strict";

// A bridge's endpoint is a Zap's subscription: made when the Zap is switched on, deleted when it is switched off.
const performSubscribe = async (z, bundle) => {
  const { events, personas } = bundle.inputData;
  const response = await z.request({
    method: "POST",
    url: `${bundle.authData.base_url}/v1/endpoints`,
    body: {
      url: bundle.targetUrl,
      payload: "flat",
      description: "a Zap",
      ...(events?.length ? { events } : {}),
      ...(personas?.length ? { personas } : {}),
    },
  });
  const { id } = response.data;
  return { id };
};

const performUnsubscribe = async (z, bundle) => {
  const response = await z.request({
    method: "DELETE",
    url: `${bundle.authData.base_url}/v1/endpoints/${bundle.subscribeData.id}`,
  });
  return response.data;
};

const perform = (z, bundle) => [bundle.cleanedRequest];

const performList = async (z, bundle) => {
  const type = bundle.inputData.events?.[0] ?? "generated_post.completed";
  const response = await z.request({
    url: `${bundle.authData.base_url}/v1/event-types/${type}/samples`,
    params: { payload: "flat" },
  });
  return response.data;
};

module.exports = {
  key: "event",
  noun: "Event",
  display: {
    label: "Job Ended",
    description: "Triggers when a sync, post, media item, voice conversion, publication or video has ended.",
  },
  operation: {
    type: "hook",
    inputFields: [
      {
        key: "events",
        label: "Events",
        type: "string",
        list: true,
        required: false,
        dynamic: "event_type.id.description",
        helpText: "Nothing chosen: every ending.",
      },
      {
        key: "personas",
        label: "Persona IDs",
        type: "string",
        list: true,
        required: false,
        helpText: "Nothing entered: all personas.",
      },
    ],
    performSubscribe,
    performUnsubscribe,
    perform,
    performList,
    sample: {
      id: "evt_apbkb4tahmhpt4kenwq3jglgxq",
      type: "generated_post.completed",
      timestamp: "2026-11-21T10:34:10.123Z",
      object: "generated_post",
      job_id: "5b0d3f1e-9c7a-4e2b-8d6f-1a3c5e7b9d0f",
      status: "completed",
      outcome: "succeeded",
      error_message: "",
      output_urls: "https://cdn.example.com/1.mp4",
    },
    outputFields: [
      { key: "id", label: "Event ID" },
      { key: "type", label: "Event" },
      { key: "timestamp", label: "Time", type: "datetime" },
      { key: "object", label: "Kind of job" },
      { key: "job_id", label: "Job ID" },
      { key: "status", label: "Status" },
      { key: "outcome", label: "Outcome" },
      { key: "error_message", label: "Error" },
      { key: "output_urls", label: "Files, one a line" },
    ],
  },
};
