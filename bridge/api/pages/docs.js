// Renders /openapi.json. Text only ever becomes text nodes, so that nothing in the document can run.
"use strict";

const node = (tag, ...children) => {
  const made = document.createElement(tag);
  made.append(...children);
  return made;
};

const show = (value) => node("pre", node("code", JSON.stringify(value, null, 2)));

let definitions = {};

const resolve = (schema) =>
  schema && schema.$ref ? definitions[schema.$ref.split("/").pop()] || schema : schema || {};

const typeOf = (schema) => {
  const plain = resolve(schema);
  if (plain.enum) return plain.enum.map((word) => JSON.stringify(word)).join(" | ");
  if (plain.const !== undefined) return JSON.stringify(plain.const);
  const arms = plain.anyOf || plain.oneOf;
  if (arms) return arms.map(typeOf).join(" | ");
  if (plain.type === "array") return `list of ${typeOf(plain.items)}`;
  return [].concat(plain.type || plain.title || "any").join(" | ");
};

const fields = (rows) => {
  const table = node("table");
  for (const [name, schema, required, note] of rows) {
    const text = [note, resolve(schema).description].filter(Boolean).join(" ");
    table.append(node("tr", node("td", node("code", name), required ? " *" : ""), node("td", typeOf(schema)), node("td", text)));
  }
  return table;
};

const properties = (schema) => {
  const plain = resolve(schema);
  if (!plain.properties) return show(plain);
  const required = new Set(plain.required || []);
  return fields(Object.entries(plain.properties).map(([name, inner]) => [name, inner, required.has(name), ""]));
};

const operation = (method, path, spec, responses) => {
  const box = node("details", node("summary", node("b", method.toUpperCase()), node("code", path), ` ${spec.summary || ""}`));
  if (spec.description) box.append(node("p", spec.description));
  if (spec.parameters) {
    box.append(node("h4", "Parameters"));
    box.append(fields(spec.parameters.map((each) => [each.name, each.schema, each.required, each.in])));
  }
  const body = spec.requestBody && Object.values(spec.requestBody.content)[0];
  if (body) box.append(node("h4", "Body"), properties(body.schema));
  box.append(node("h4", "Answers"));
  for (const [status, answer] of Object.entries(spec.responses || {})) {
    const plain = answer.$ref ? responses[answer.$ref.split("/").pop()] : answer;
    box.append(node("p", node("b", status), ` ${plain.description}`));
    const content = !answer.$ref && plain.content && Object.values(plain.content)[0];
    if (content && content.schema) box.append(properties(content.schema));
  }
  return box;
};

const render = (api) => {
  definitions = api.components.schemas;
  const page = document.getElementById("page");
  page.replaceChildren(
    node("h1", `${api.info.title} ${api.info.version}`),
    node("p", api.info.description),
    node("p", "Keys go as “Authorization: Bearer brk_…”, as X-API-Key, or as the user name of Basic."),
  );
  for (const tag of api.tags) {
    page.append(node("h2", tag.name));
    for (const [path, methods] of Object.entries(api.paths)) {
      for (const [method, spec] of Object.entries(methods)) {
        if (spec.tags.includes(tag.name)) page.append(operation(method, path, spec, api.components.responses));
      }
    }
  }
  page.append(node("h2", "Webhooks"));
  for (const [name, spec] of Object.entries(api.webhooks)) page.append(operation("post", name, spec.post, {}));
};

fetch("openapi.json")
  .then((answer) => answer.json())
  .then(render)
  .catch((error) => document.getElementById("page").replaceChildren(node("p", `The document cannot be shown: ${error}`)));
