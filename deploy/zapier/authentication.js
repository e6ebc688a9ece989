"use strict";

const authentication = {
  type: "custom",
  fields: [
    {
      key: "base_url",
      label: "Address of your bridge",
      type: "string",
      required: true,
      helpText: "Its public URL, such as `https://bridge.example.com`. Without a slash at the end; Zapier must be able to reach it.",
    },
    {
      key: "api_key",
      label: "API key",
      type: "password",
      required: true,
      helpText: "A key `brk_…` with the scopes register, read and manage.",
    },
  ],
  test: { url: "{{bundle.authData.base_url}}/v1/me" },
  connectionLabel: (z, bundle) => bundle.inputData.project.name,
};

const sendKey = (request, z, bundle) => {
  if (bundle.authData.api_key) request.headers.Authorization = `Bearer ${bundle.authData.api_key}`;
  return request;
};

module.exports = { authentication, sendKey };
