"use strict";

// Fills the choice of events of the trigger.
const perform = async (z, bundle) => {
  const response = await z.request({ url: `${bundle.authData.base_url}/v1/event-types` });
  return response.data.data.map(({ id, description }) => ({ id, description: `${id}: ${description}` }));
};

module.exports = {
  key: "event_type",
  noun: "Event Type",
  display: {
    label: "List Event Types",
    description: "Lists the types of events for the trigger's choice.",
    hidden: true,
  },
  operation: {
    perform,
    sample: { id: "generated_post.completed", description: "The post and every one of its media items are done." },
  },
};
