/** The manual: shows openapi.json, without a script from elsewhere. */

const manual = await (await fetch("openapi.json")).json();
document.getElementById("about").textContent = manual.info.description;
for (const [path, methods] of Object.entries(manual.paths)) {
  for (const [method, operation] of Object.entries(methods)) {
    document.getElementById("operations").append(section(path, method, operation));
  }
}

function section(path, method, operation) {
  const part = document.createElement("section");
  part.append(element("h2", `${method.toUpperCase()} ${path}`));
  part.append(element("p", [operation.summary, operation.description].filter(Boolean).join(". ")));
  for (const { name, description } of operation.parameters ?? []) {
    part.append(element("p", `?${name}= ${description}`));
  }
  if (operation.requestBody) {
    part.append(element("p", `Content types: ${Object.keys(operation.requestBody.content).join(", ")}`));
  }
  const answers = document.createElement("dl");
  for (const [status, { description, content }] of Object.entries(operation.responses)) {
    answers.append(element("dt", status), element("dd", `${description} ${shape(content)}`));
  }
  part.append(answers);
  return part;
}

/** The names in a JSON answer. */
function shape(content) {
  const name = content?.["application/json"]?.schema?.$ref?.split("/").at(-1);
  return name ? `{${Object.keys(manual.components.schemas[name].properties).join(", ")}}` : "";
}

function element(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}
