/**
 * What is known of the strings before they are read: as captcha_helpers/reading/mask.py has it.
 *
 * @typedef {object} Mask
 * @property {string | null} [charset] The only characters that occur.
 * @property {[number, number] | null} [length] Fewest and most characters of a string.
 * @property {boolean} [ignore_case] Whether a letter and its other case count as one.
 */

const DIGITS = "0123456789";
const LOWER = "abcdefghijklmnopqrstuvwxyz";
const UPPER = LOWER.toUpperCase();
const WORDS = new Map([
  ["digits", DIGITS],
  ["lower", LOWER],
  ["upper", UPPER],
  ["letters", LOWER + UPPER],
  ["alphanumeric", DIGITS + UPPER + LOWER],
]);

/** A mask that cannot be read with; the message says why, and is for people. */
export class MaskError extends Error {}

/**
 * Find what a mask leaves of a model's characters.
 *
 * @param {Mask} mask
 * @param {string[]} characters The model's; character i is class i + 1.
 * @returns {{charset: string[], classes: number[][], missing: string[]}} What readings are written
 *   in; for each of its classes, blank first, the model's classes that count as it; and what the
 *   model does not have.
 * @throws {MaskError} If nothing is left.
 */
export function fitMask(mask, characters) {
  const told = mask.charset ? [...new Set(mask.charset)] : characters;
  const keyOf = mask.ignore_case ? oneCase : (char) => char;
  const wanted = new Set(told.map(keyOf));
  const groups = new Map();
  characters.forEach((char, i) => {
    const key = keyOf(char);
    if (wanted.has(key)) groups.set(key, [...(groups.get(key) ?? []), i + 1]);
  });
  if (groups.size === 0) throw new MaskError(`The network has none of the characters ${told.join(" ")}.`);
  const write = mask.ignore_case && shouts(told.join("")) ? capital : (char) => char;
  return {
    charset: [...groups.keys()].map(write),
    classes: [[0], ...groups.values()],
    missing: told.filter((char) => !groups.has(keyOf(char))),
  };
}

/**
 * Whether all strings of a mask are longer than those that a model has learned.
 *
 * @param {Mask} mask
 * @param {[number, number]} learned Fewest and most characters of what it was trained on.
 */
export function isLongerThanLearned(mask, learned) {
  return Boolean(mask.length) && mask.length[0] > learned[1];
}

/** One character for both cases: the small one, if that is a single character; "σ" for "ς". */
function oneCase(char) {
  const small = char.toLowerCase().replace("ς", "σ");
  return [...small].length === 1 ? small : char;
}

function capital(char) {
  return char.toUpperCase().toLowerCase() === char ? char.toUpperCase() : char;
}

function shouts(text) {
  return text !== text.toLowerCase() && text === text.toUpperCase();
}

/**
 * Read a charset as people type it: characters, or words with + or , between them.
 *
 * @param {string} text
 * @returns {string | null} Null if nothing was typed.
 */
export function parseCharset(text) {
  const parts = text.trim().split(/[+, ]/);
  const isWord = parts.some((part) => WORDS.has(part));
  const characters = isWord ? parts.map((part) => WORDS.get(part) ?? part).join("") : text.trim();
  return [...new Set(characters.normalize("NFC"))].join("") || null;
}

/**
 * Read a length as people type it: 4, or 4-6.
 *
 * @param {string} text
 * @returns {[number, number] | null} Null if nothing was typed.
 * @throws {MaskError} If it is something else.
 */
export function parseLength(text) {
  if (text.trim() === "") return null;
  const found = /^([0-9]{1,6})(?:-([0-9]{1,6}))?$/.exec(text.trim());
  const fewest = Number(found?.[1]);
  const most = Number(found?.[2] ?? found?.[1]);
  if (!(1 <= fewest && fewest <= most)) {
    throw new MaskError(`“${text}” is not a length. Use 4 or 4-6.`);
  }
  return [fewest, most];
}
