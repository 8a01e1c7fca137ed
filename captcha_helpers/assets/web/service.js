/** The service's page: sends pictures, shows the answers. */
import {
  acceptPictures,
  askWhatIsKnown,
  complain,
  element,
  find,
  judge,
  percent,
  say,
  showCharacters,
  showPicture,
  showText,
} from "./pictures.js";

let latest = 0; // number of the last choice that somebody made
let shown = []; // the pictures, to be read again

/** @param {File[]} pictures */
async function show(pictures) {
  const turn = ++latest;
  shown = pictures;
  for (const part of ["text", "details", "several"].map(find)) part.hidden = true;
  if (pictures.length === 1) await showOne(pictures[0], turn);
  else await showSeveral(pictures, turn);
}

async function showOne(picture, turn) {
  say("Reading …");
  const answer = await ask(picture);
  if (turn !== latest) return; // others were chosen meanwhile
  if (answer.detail) complain(`The picture was not read: ${answer.detail}.`);
  else await showReading(answer, picture);
}

/** Read one after the other, and show a line for each. */
async function showSeveral(pictures, turn) {
  find("pictures").replaceChildren();
  find("several").hidden = false;
  const count = { high: 0, medium: 0, low: 0, failed: 0 };
  for (const [number, picture] of pictures.entries()) {
    say(`Reading ${number + 1} of ${pictures.length} …`);
    const answer = await ask(picture);
    if (turn !== latest) return;
    count[answer.detail ? "failed" : judge(answer.confidence).level] += 1;
    find("pictures").append(pictureRow(picture, answer));
  }
  const unsure = count.medium + count.low;
  say(
    `${pictures.length} pictures: ${count.high} read with confidence, ${unsure} to be checked ` +
      `(${count.low} of them probably wrong), ${count.failed} not read.`,
  );
}

/** Send a picture; gives the answer, or in `detail` what is wrong. */
async function ask(picture) {
  try {
    const response = await fetch(`predict?${knownStrings()}`, {
      method: "POST",
      headers: { "Content-Type": "application/octet-stream" },
      body: picture,
    });
    return await response.json();
  } catch (error) {
    return { detail: `the service does not answer (${error.message})` };
  }
}

/** What people typed about the strings, as the service takes it. */
function knownStrings() {
  const known = new URLSearchParams();
  for (const name of ["charset", "length"]) {
    const typed = find(name).value.trim();
    if (typed) known.set(name, typed);
  }
  if (find("ignore-case").checked) known.set("ignore_case", "true");
  return known;
}

async function showReading(reading, blob) {
  await showPicture(blob);
  showText(
    reading.text,
    reading.confidence,
    `Read by ${reading.model} with a confidence of ${percent(reading.confidence)} ` +
      `in ${reading.milliseconds.toFixed(0)} ms.` +
      (reading.warning ? ` Note that ${reading.warning}.` : ""),
  );
  showCharacters(reading.characters);
  find("details").hidden = false;
}

function pictureRow(picture, { text, confidence, detail }) {
  const row = document.createElement("tr");
  const cell = document.createElement("td");
  const image = element("img", "", { src: URL.createObjectURL(picture), alt: "" });
  image.addEventListener("load", () => URL.revokeObjectURL(image.src));
  cell.append(image);
  row.append(cell, element("td", picture.name));
  if (detail) {
    row.dataset.level = "low";
    row.append(element("td", `Not read: ${detail}.`, { colSpan: 2 }));
    return row;
  }
  const { level, words } = judge(confidence);
  row.dataset.level = level;
  row.append(element("th", text || "(nothing)", { scope: "row" }));
  row.append(element("td", `${percent(confidence)} ${words}`.trim()));
  return row;
}

askWhatIsKnown(() => shown.length > 0 && show(shown));
acceptPictures(show);
