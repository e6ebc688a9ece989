// Calls a method of a compiled node as n8n does, with a context that has the helpers which the nodes use.
const [, , base, key, file, name, method, url, parameters, kept] = process.argv;
const data = JSON.parse(kept);
const context = {
  getCredentials: async () => ({ url: base }),
  getNodeParameter: (parameter) => JSON.parse(parameters)[parameter],
  getNodeWebhookUrl: () => url,
  evaluateExpression: () => url,
  getWorkflowStaticData: () => data,
  getInputData: () => [],
  getNode: () => ({ name, type: name, typeVersion: 1, parameters: {}, position: [0, 0], id: "1" }),
  putExecutionToWait: async (until) => { data.waits = until.toISOString(); },
  helpers: {
    async httpRequestWithAuthentication(_, { method: verb, baseURL, url: path, body }) {
      const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
      const answer = await fetch(baseURL + path, { method: verb, headers, body: body && JSON.stringify(body) });
      const json = await answer.json();
      if (!answer.ok) throw Object.assign(new Error(json.error.message), { httpCode: `${answer.status}` });
      return json;
    },
  },
};
const node = new (require(file)[name])();
const run = method === "execute" ? node.execute : node.webhookMethods.default[method];
run.call(context).then(
  (result) => console.log(JSON.stringify({ result, data })),
  (error) => console.log(JSON.stringify({ error: error.constructor.name, data })),
);
