/** The service's page: sends a picture, shows the answer. */
import {
  acceptPictures,
  complain,
  find,
  percent,
  say,
  showPicture,
  showText,
  withLookalikes,
} from "./pictures.js";

let latest = 0; // number of the last picture that somebody chose

/** @param {Blob} picture */
async function show(picture) {
  const turn = ++latest;
  say("Reading …");
  try {
    const response = await fetch(`predict?${knownStrings()}`, {
      method: "POST",
      headers: { "Content-Type": "application/octet-stream" },
      body: picture,
    });
    const answer = await response.json();
    if (turn !== latest) return; // another one was chosen meanwhile
    if (response.ok) await showReading(answer, picture);
    else complain(`The picture was not read: ${answer.detail}.`);
  } catch (error) {
    if (turn === latest) complain(`The service does not answer (${error.message}).`);
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
    `Read by ${reading.model} with a confidence of ${percent(reading.confidence)} ` +
      `in ${reading.milliseconds.toFixed(0)} ms.` +
      (reading.warning ? ` Note that ${reading.warning}.` : ""),
  );
  find("characters").replaceChildren(...reading.characters.map(characterRow));
  find("details").hidden = false;
}

function characterRow({ char, confidence, lookalikes }) {
  const row = document.createElement("tr");
  const [name, share] = [document.createElement("th"), document.createElement("td")];
  name.scope = "row";
  name.textContent = char;
  share.textContent = withLookalikes(percent(confidence), lookalikes);
  row.append(name, share);
  return row;
}

acceptPictures(show);
