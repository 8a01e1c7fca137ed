/**
 * What both pages have: ways to choose pictures and to say what is known of them, and places to
 * show them and what is read.
 */

export const find = (id) => document.getElementById(id);
export const percent = (share) => `${(100 * share).toFixed(1)} %`;

/** A confidence, and what the character might be as well. */
export function withLookalikes(confidence, lookalikes) {
  return lookalikes ? `${confidence} (or ${Array.from(lookalikes).join(" or ")})` : confidence;
}

/**
 * What a confidence means for somebody who wants to rely on the text.
 *
 * @param {number} confidence From 0 to 1.
 * @returns {{level: "high" | "medium" | "low", words: string}}
 */
export function judge(confidence) {
  if (confidence >= 0.9) return { level: "high", words: "" };
  if (confidence >= 0.5) return { level: "medium", words: "Not certain: check it." };
  return { level: "low", words: "Low: the text is probably wrong." };
}

/** One element with a text. */
export function element(tag, text, attributes = {}) {
  const made = Object.assign(document.createElement(tag), attributes);
  made.textContent = text;
  return made;
}

/**
 * Ask what people know of the text, in the fieldset `known`.
 *
 * @param {() => void} changed Called when they say something else.
 */
export function askWhatIsKnown(changed) {
  const field = (id, label, attributes) => {
    const input = Object.assign(document.createElement("input"), { id, ...attributes });
    input.addEventListener("change", changed);
    const around = document.createElement("label");
    around.append(...(input.type === "checkbox" ? [input, ` ${label}`] : [`${label} `, input]));
    return around;
  };
  const typed = { autocomplete: "off", spellcheck: false };
  find("known").append(
    element("legend", "If you know more about the text"),
    field("charset", "Characters", {
      placeholder: "all; or as 0123456789, digits+lower",
      ...typed,
    }),
    field("length", "Length", { placeholder: "any; or as 4-6", ...typed }),
    field("ignore-case", "Upper and lower case count as one", { type: "checkbox" }),
  );
}

/**
 * Let people choose, drop and paste pictures.
 *
 * @param {(pictures: File[]) => void} show What is done with them.
 */
export function acceptPictures(show) {
  const showFiles = (files) => {
    if (files.length > 0) show(Array.from(files));
    else complain("That was not a picture. Choose, drop or paste a PNG or JPEG file.");
  };
  find("file").addEventListener("change", ({ target }) => {
    if (target.files.length > 0) show(Array.from(target.files));
    target.value = ""; // so that the same file can be chosen again
  });
  document.addEventListener("paste", ({ clipboardData }) => showFiles(clipboardData.files));
  document.addEventListener("dragover", (event) => {
    event.preventDefault(); // or the browser would leave the page for the picture
    document.body.classList.add("dragging");
  });
  document.addEventListener("dragleave", ({ relatedTarget }) => {
    if (!relatedTarget) document.body.classList.remove("dragging");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dragging");
    showFiles(event.dataTransfer.files);
  });
}

/** @param {Blob} blob */
export async function showPicture(blob) {
  const picture = find("picture");
  URL.revokeObjectURL(picture.src);
  picture.src = URL.createObjectURL(blob);
  await picture.decode();
  picture.classList.toggle("small", picture.naturalWidth < 700);
  find("view").style.setProperty("--aspect", picture.naturalWidth / picture.naturalHeight);
}

/** Show the text that was read, and how far to trust it; `message` says how it was read. */
export function showText(text, confidence, message) {
  const { level, words } = judge(confidence);
  say(words ? `${message} ${words}` : message);
  find("text").textContent = text || "(nothing)";
  find("text").dataset.level = level;
  find("text").hidden = false;
}

/** Show the characters and how confident the model is of each. */
export function showCharacters(characters) {
  find("characters").replaceChildren(...characters.map(characterRow));
}

function characterRow({ char, confidence, lookalikes }) {
  const row = document.createElement("tr");
  const share = element("div", "", { className: "share" });
  const bar = element("div", "", { className: "bar", ariaHidden: "true" });
  const filled = document.createElement("i");
  filled.style.width = `${100 * confidence}%`;
  bar.dataset.level = judge(confidence).level;
  bar.append(filled);
  share.append(bar, element("span", withLookalikes(percent(confidence), lookalikes)));
  const cell = document.createElement("td");
  cell.append(share);
  row.append(element("th", char, { scope: "row" }), cell);
  return row;
}

export function say(message) {
  find("result").classList.remove("wrong");
  find("message").textContent = message;
}

/** Say what is wrong, in place of a reading. */
export function complain(message) {
  for (const part of ["text", "verdict", "details", "several"].map(find)) if (part) part.hidden = true;
  say(message);
  find("result").classList.add("wrong");
}
