/** What both pages have: ways to choose a picture, and places to show it and what is said. */

export const find = (id) => document.getElementById(id);
export const percent = (share) => `${(100 * share).toFixed(1)} %`;

/** A confidence, and what the character might be as well. */
export function withLookalikes(confidence, lookalikes) {
  return lookalikes ? `${confidence} (or ${Array.from(lookalikes).join(" or ")})` : confidence;
}

/**
 * Let people choose, drop and paste pictures.
 *
 * @param {(picture: Blob) => void} show What is done with one.
 */
export function acceptPictures(show) {
  const showFirst = (files) => {
    if (files.length > 0) show(files[0]);
    else complain("That was not a picture. Choose, drop or paste a PNG or JPEG file.");
  };
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

/** Show the text that was read; `message` says how. */
export function showText(text, message) {
  say(message);
  find("text").textContent = text || "(nothing)";
  find("text").hidden = false;
}

export function say(message) {
  find("result").classList.remove("wrong");
  find("message").textContent = message;
}

/** Say what is wrong, in place of a reading. */
export function complain(message) {
  for (const part of ["text", "verdict", "details"].map(find)) if (part) part.hidden = true;
  say(message);
  find("result").classList.add("wrong");
}
