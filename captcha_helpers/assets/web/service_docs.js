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
  part.append(element("h2", `${method.toUpperCase()} ${path}: ${operation.summary}`));
  if (operation.description) part.append(element("p", operation.description));
  part.append(element("pre", curl(path, operation)));
  const known = document.createElement("dl");
  for (const { name, description } of operation.parameters ?? []) {
    known.append(element("dt", `?${name}=`), element("dd", description));
  }
  if (operation.requestBody) {
    const types = Object.keys(operation.requestBody.content).join(", ");
    known.append(element("dt", "body"), element("dd", types));
  }
  const answers = document.createElement("dl");
  for (const [status, { description, content }] of Object.entries(operation.responses)) {
    answers.append(element("dt", status), element("dd", `${description} ${shape(content)}`));
  }
  part.append(known, element("h3", "Answers"), answers);
  return part;
}

/** How to ask for it in a terminal. */
function curl(path, { requestBody, parameters = [] }) {
  const address = new URL(`.${path}`, document.baseURI).href;
  const form = requestBody?.content["multipart/form-data"].schema.properties.file;
  if (form) {
    const files = form.type === "array" ? ["1.png", "2.png"] : ["image.png"];
    return `curl ${files.map((file) => `-F file=@${file}`).join(" ")} ${address}`;
  }
  const url = parameters.some(({ name }) => name === "url");
  return url ? `curl "${address}?url=ADDRESS_OF_THE_IMAGE"` : `curl ${address}`;
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
