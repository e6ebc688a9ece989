// Does what Zapier's servers do with an app: hands the event of each request to its handler and answers with the outcome.
const { createServer } = require("node:http");
const { createAppHandler } = require("zapier-platform-core");

const handler = createAppHandler(require("./app/index.js"));

createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const outcome = await handler(JSON.parse(Buffer.concat(chunks))).then(
    ({ results, status }) => ({ results, status }),
    (error) => ({ error: error.message }),
  );
  response.end(JSON.stringify(outcome));
}).listen(0, "127.0.0.1", function () {
  console.log(`listening at http://127.0.0.1:${this.address().port}`);
});
