"use strict";

const { authentication, sendKey } = require("./authentication");
const event = require("./triggers/event");
const eventType = require("./triggers/event_type");
const waitForJob = require("./creates/wait_for_job");

module.exports = {
  version: require("./package.json").version,
  platformVersion: require("zapier-platform-core").version,
  authentication,
  beforeRequest: [sendKey],
  triggers: { [event.key]: event, [eventType.key]: eventType },
  creates: { [waitForJob.key]: waitForJob },
};
