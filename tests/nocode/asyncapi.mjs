// Parses the AsyncAPI document of the first argument and prints what AsyncAPI's own parser makes of it.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
const ERROR = 0;
const WARNING = 1;
console.log(
  JSON.stringify({
    version: document?.version(),
    complaints: diagnostics
      .filter(({ severity }) => severity === ERROR || severity === WARNING)
      .map(({ message, path }) => `${path.join(".")}: ${message}`),
    sent: document
      ?.operations()
      .filterBySend()
      .flatMap((operation) => operation.messages().all().map((message) => message.name())),
  }),
);
