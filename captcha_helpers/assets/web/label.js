/** The page on which one labels a folder: one picture after the other, each label written at once. */
const find = (id) => document.getElementById(id);
const percent = (share) => `${Math.round(100 * share)} %`;
const input = find("label");

let item = null; // the picture that is shown
let seen = []; // names of those before it
let asked = ""; // a label whose new character was asked about
let busy = false;

/** Ask the server; gives its answer, with `detail` if something is wrong. */
async function ask(path, body) {
  const options = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  try {
    const response = await fetch(path, options);
    return await response.json();
  } catch (error) {
    return { detail: `the program does not answer (${error.message}); is it still running?` };
  }
}

/** Do one thing at a time: a key that is held down must not label two pictures. */
async function alone(work) {
  if (busy) return;
  busy = true;
  try {
    await work();
  } finally {
    busy = false;
  }
}

function say(text) {
  find("message").textContent = text;
}

function show(next) {
  item = next;
  asked = "";
  for (const id of ["accept", "skip", "unreadable"]) find(id).disabled = item === null;
  input.disabled = item === null;
  find("back").disabled = seen.length === 0;
  find("picture").hidden = item === null || item.problem !== "";
  if (item === null) {
    input.value = "";
    find("guess").textContent = "";
    say("Every picture has a label or was set aside.");
    return;
  }
  if (item.problem) say(`This picture cannot be opened: ${item.problem}.`);
  else find("picture").src = `image?name=${encodeURIComponent(item.name)}`;
  input.value = item.label || item.guess || "";
  find("guess").textContent = item.label
    ? `${item.name}: labelled already; the reader reads ${item.guess || "nothing"} ` +
      `(${percent(item.confidence ?? 0)} sure).`
    : `${item.name}: the reader is ${percent(item.confidence ?? 0)} sure of it.`;
  input.focus();
  selectLeastCertain();
}

/** Put the cursor where the guess is most likely wrong; typing replaces that character. */
function selectLeastCertain() {
  if (item.label || !item.characters?.length) return input.select();
  const sure = item.characters.map((one) => one.confidence);
  const place = sure.indexOf(Math.min(...sure));
  const start = item.characters.slice(0, place).map((one) => one.char).join("").length;
  input.setSelectionRange(start, start + item.characters[place].char.length);
}

async function goOn() {
  const answer = await ask("next", {});
  if (answer.detail) return say(answer.detail);
  say("");
  show(answer.item);
}

async function accept() {
  const label = input.value.trim();
  const before = item.label || "";
  const answer = await ask("label", { name: item.name, label, before, sure: asked === label });
  if (answer.kind === "new") {
    asked = label;
    return say(`${answer.detail} Press Enter once more if it is.`);
  }
  if (answer.detail && answer.kind !== "changed") return say(answer.detail);
  seen.push(item.name);
  if (!answer.detail) report(answer);
  await goOn();
  if (answer.detail) say(answer.detail);
}

async function setAside(unreadable) {
  const answer = await ask("aside", { name: item.name, unreadable });
  if (answer.detail) return say(answer.detail);
  seen.push(item.name);
  report(answer);
  await goOn();
}

async function goBack() {
  if (seen.length === 0) return;
  const answer = await ask(`item?name=${encodeURIComponent(seen.pop())}`);
  if (answer.detail) return say(answer.detail);
  say("");
  show(answer.item);
}

/** Show how far it is, and how well the reader guesses. */
function report(state) {
  find("where").textContent =
    `The pictures stay on this machine. Labels go to ${state.labels}.`;
  find("bar").value = state.labelled / state.images;
  const aside = state.unreadable ? `, ${state.unreadable} set aside as unreadable` : "";
  find("count").textContent = `${state.labelled} of ${state.images} labelled${aside}.`;
  find("quality").textContent = quality(state);
  find("training").textContent = training(state);
  const left = state.images - state.labelled - state.unreadable;
  const button = find("accept-all");
  button.hidden = state.confident === 0 || state.surveyed < left;
  button.textContent =
    `Accept ${state.confident} confident readings ` +
    `(about ${state.expected_errors.toFixed(1)} of them wrong)`;
  find("survey").hidden = state.surveyed >= left;
  for (const id of ["survey", "accept-all"]) find(id).classList.toggle("proposed", state.enough);
  find("save").hidden = !state.out || state.learned_from === 0;
}

function quality(state) {
  const { tested, right, low, high } = state;
  if (tested === 0) return "How well the reader guesses is measured on pictures drawn at random.";
  const measured =
    `It guessed ${right} of ${tested} pictures drawn at random as you typed them: ` +
    `${percent(right / tested)} (${percent(low)} to ${percent(high)}).`;
  return [measured, outlook(state)].filter(Boolean).join(" ");
}

/** What is worth doing next: label more, or let the reader do the rest. */
function outlook({ enough, more, would_read: share }) {
  if (enough) return "That is enough to let it read all the others, if such errors do no harm.";
  if (more) return `With ${more} more labels the next reader will probably read about ${percent(share)}.`;
  return "";
}

function training(state) {
  if (state.training_on) return `A reader is learning from ${state.training_on} labels.`;
  if (state.ready) {
    return (
      `A reader of ${state.ready} labels is ready; it takes over once it guesses the pictures ` +
      "drawn at random as well as the present one."
    );
  }
  if (state.training_failed) return `The last training failed: ${state.training_failed}`;
  if (state.learned_from) return `The guesses come from a reader of ${state.learned_from} labels.`;
  return "The guesses come from a reader that has not learned from your labels yet.";
}

async function refresh() {
  const state = await ask("state");
  if (state.detail) find("training").textContent = state.detail;
  else report(state);
}

async function acceptAll() {
  const answer = await ask("accept", {});
  find("done").textContent = answer.detail ?? `${answer.accepted} readings are labels now.`;
  if (!answer.detail) report(answer);
  if (item === null || !item.label) await goOn();
}

async function save() {
  const answer = await ask("save", {});
  find("done").textContent =
    answer.detail ?? `${answer.saved} is written. Read with it: captcha-helpers predict ${answer.saved} FOLDER`;
}

const keys = { Enter: accept, Escape: () => setAside(false), PageDown: () => setAside(true), PageUp: goBack };
document.addEventListener("keydown", (event) => {
  const inText = event.target === input || event.target === document.body;
  if (!(event.key in keys) || event.isComposing || event.repeat || !inText) return;
  event.preventDefault();
  if (item !== null || event.key === "PageUp") alone(keys[event.key]);
});
const buttons = {
  accept,
  skip: () => setAside(false),
  unreadable: () => setAside(true),
  back: goBack,
  survey: async () => report(await ask("survey", {})),
  "accept-all": acceptAll,
  save,
};
for (const [id, work] of Object.entries(buttons)) {
  find(id).addEventListener("click", () => alone(work).then(() => input.focus()));
}
setInterval(refresh, 2000);
await refresh();
await goOn();
