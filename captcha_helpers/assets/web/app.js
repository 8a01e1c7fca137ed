/** The page: takes pictures from people, shows readings. */
import { offerDrawing } from "./draw.js";
import { fitMask, isLongerThanLearned, MaskError, parseCharset, parseLength } from "./mask.js";
import {
  acceptPictures,
  askWhatIsKnown,
  complain,
  element,
  find,
  percent,
  say,
  showCharacters,
  showPicture,
  showText,
} from "./pictures.js";
import { loadReader, PictureError } from "./reader.js";

let latest = 0; // number of the last picture that somebody chose
let lastSample = null;
let shown = null; // the picture and what is in it, to be read again
const ready = start();

async function start() {
  say("Loading the network (about 15 MB the first time) …");
  try {
    const reader = await loadReader(document.querySelector("meta[name=onnxruntime]").content);
    const [samples, looks] = await Promise.all(["samples.json", "looks.json"].map(fetchJson));
    describeModel(reader.spec);
    const { mask, charset, length } = reader.specWith({});
    const characters = fitMask(mask, Array.from(charset)).charset;
    offerDrawing(looks, characters, mask.length ?? length, show);
    find("sample").hidden = samples.length === 0;
    window.readCaptcha = async (blob) => {
      const { text, confidence, characters, milliseconds } = await reader.read(blob);
      return { text, confidence, characters, milliseconds };
    };
    say("Ready. Choose a picture.");
    document.documentElement.dataset.state = "ready";
    return { reader, samples };
  } catch (error) {
    complain(`The network could not be loaded (${error.message}). Reload the page to try again.`);
    document.documentElement.dataset.state = "failed";
    return null;
  }
}

async function fetchJson(name) {
  return (await fetch(name)).json();
}

/**
 * Read a picture and show what is in it.
 *
 * @param {Blob | Promise<Blob>} picture
 * @param {string} [label] What is in it, if that is known.
 */
async function show(picture, label) {
  const turn = ++latest;
  shown = [picture, label];
  const loaded = await ready;
  if (!loaded) return; // the page says why
  try {
    say("Reading …");
    const blob = await picture;
    const known = knownStrings();
    const reading = await loaded.reader.read(blob, known);
    if (turn !== latest) return; // another one was chosen meanwhile
    await showReading(reading, blob, label);
    tellDoubts(loaded.reader.specWith(known));
  } catch (error) {
    if (turn === latest) complain(reasonOf(error));
  }
}

/** What people typed about the strings. */
function knownStrings() {
  const ignoreCase = find("ignore-case");
  return {
    charset: parseCharset(find("charset").value),
    length: parseLength(find("length").value),
    ignore_case: ignoreCase.checked || null,
  };
}

function tellDoubts({ mask, charset, length }) {
  const { missing } = fitMask(mask, Array.from(charset));
  const doubts = [];
  if (missing.length > 0) doubts.push(`The network does not have the characters ${missing.join(" ")}.`);
  if (isLongerThanLearned(mask, length)) {
    const most = `The network has learned strings of at most ${length[1]} characters`;
    doubts.push(`${most}; longer ones are likely to be misread.`);
  }
  if (doubts.length > 0) say([find("message").textContent, ...doubts].join(" "));
}

function reasonOf(error) {
  if (error instanceof PictureError || error instanceof MaskError) return error.message;
  return `The picture could not be read (${error.message}). A smaller one may work.`;
}

async function showReading(reading, blob, label) {
  await showPicture(blob);
  showText(
    reading.text,
    reading.confidence,
    `Read with a confidence of ${percent(reading.confidence)} ` +
      `in ${reading.milliseconds.toFixed(0)} ms.`,
  );
  showVerdict(reading.text, label);
  showFrames(reading);
  showCharacters(reading.characters);
  find("details").hidden = false;
}

function showVerdict(text, label) {
  const verdict = find("verdict");
  verdict.hidden = label === undefined;
  verdict.className = text === label ? "right" : "wrong";
  verdict.querySelector("span").textContent = text === label ? "Right:" : "Wrong: the picture says";
  verdict.querySelector("code").textContent = label;
}

/** Bars under the columns of the part that the network sees: each frame is one of them. */
function showFrames({ text, frames, seen }) {
  find("view").style.setProperty("--before", `${100 * seen[0]}%`);
  find("view").style.setProperty("--after", `${100 * (1 - seen[1])}%`);
  find("bands").replaceChildren(...frames.map(column));
  find("plot").replaceChildren(...frames.map(frameBar));
  find("plot").hidden = find("plot-note").hidden = frames.length === 0;
  find("plot").setAttribute("aria-label", `${frames.length} frames, from which ${text} was read`);
}

function column({ inText }) {
  return element("span", "", { className: inText ? "in-text" : "" });
}

function frameBar(frame, step) {
  const bar = column(frame);
  bar.style.setProperty("--share", `${100 * frame.probability}%`);
  bar.title = `Frame ${step + 1}: ${frame.char} ${percent(frame.probability)}`;
  if (frame.probability >= 0.1) bar.dataset.char = frame.char;
  return bar;
}

function describeModel({ charset, mask, length, height, width, channels, processing, training }) {
  const read = mask?.charset ?? charset;
  const more = Array.from(charset).length - Array.from(read).length;
  const facts = {
    Characters: more > 0 ? `${read}, and ${more} more if you name them` : read,
    Length: length[0] === length[1] ? `${length[0]}` : `${length[0]} to ${length[1]} characters`,
    Picture:
      `${channels === 3 ? "" : "made grey, "}${processing?.auto_crop ? "cropped to its ink, " : ""}` +
      `resized to ${width} × ${height} pixels`,
    ...training,
  };
  for (const [name, value] of Object.entries(facts)) {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    find("model").append(element("dt", name), element("dd", text));
  }
}

async function showSample() {
  const { samples } = await ready;
  const others = samples.filter((sample) => sample !== lastSample);
  const pool = others.length > 0 ? others : samples;
  lastSample = pool[Math.floor(Math.random() * pool.length)];
  const { file, label } = lastSample;
  show(
    fetch(file).then((response) => response.blob()),
    label,
  );
}

/** Read the same picture again when something else is known. */
function showAgain() {
  if (shown) show(...shown);
}

askWhatIsKnown(showAgain);
find("sample").addEventListener("click", showSample);
acceptPictures(([picture]) => show(picture));
