/** The service's page: sends a picture, shows the answer. */

const find = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(1)} %`;

let latest = 0; // number of the last picture that somebody chose

/** @param {Blob} picture */
async function show(picture) {
  const turn = ++latest;
  say("Reading …");
  try {
    const response = await fetch("predict", {
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

async function showReading(reading, blob) {
  const picture = find("picture");
  URL.revokeObjectURL(picture.src);
  picture.src = URL.createObjectURL(blob);
  await picture.decode();
  picture.classList.toggle("small", picture.naturalWidth < 700);
  find("view").style.setProperty("--aspect", picture.naturalWidth / picture.naturalHeight);
  say(
    `Read by ${reading.model} with a confidence of ${percent(reading.confidence)} ` +
      `in ${reading.milliseconds.toFixed(0)} ms.`,
  );
  find("text").textContent = reading.text || "(nothing)";
  find("text").hidden = false;
  find("characters").replaceChildren(...reading.characters.map(characterRow));
  find("details").hidden = false;
}

function characterRow({ char, confidence }) {
  const row = document.createElement("tr");
  const [name, share] = [document.createElement("th"), document.createElement("td")];
  name.scope = "row";
  name.textContent = char;
  share.textContent = percent(confidence);
  row.append(name, share);
  return row;
}

function say(message) {
  find("result").classList.remove("wrong");
  find("message").textContent = message;
}

/** Say what is wrong, in place of a reading. */
function complain(message) {
  for (const id of ["text", "details"]) find(id).hidden = true;
  say(message);
  find("result").classList.add("wrong");
}

function showFirst(files) {
  if (files.length > 0) show(files[0]);
  else complain("That was not a picture. Choose, drop or paste a PNG or JPEG file.");
}

find("file").addEventListener("change", ({ target }) => {
  if (target.files.length > 0) show(target.files[0]);
  target.value = ""; // so that the same file can be chosen again
});
document.addEventListener("paste", ({ clipboardData }) => showFirst(clipboardData.files));
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
  showFirst(event.dataTransfer.files);
});
