/**
 * What gives orders to a terminal, or can't be seen: control and format characters (C0, C1, bidirectional ones), line and
 * paragraph separators, and what has no width, such as tags. Variation selectors only choose the form of an emoji.
 */
const unprintable = /[[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]--[\ufe00-\ufe0f]]/gv;

/** The same without what several lines need. */
const unprintableInLines = /[[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]--[\ufe00-\ufe0f\n\t]]/gv;

/** Printable ASCII, as most texts are. */
const plain = /^[ -~]*$/;
const plainLines = /^[\n\t -~]*$/;

function escaped(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}

function escapedInJson(character: string): string {
  return Array.from({ length: character.length }, (_, at) => character.charCodeAt(at))
    .map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`)
    .join('');
}

/** Text with its control and format characters shown as escapes. */
export function escapeUnprintable(text: string): string {
  return plain.test(text) ? text : text.toWellFormed().replaceAll(unprintable, escaped);
}

/** The same with another text in place of each of them. */
export function replaceUnprintable(text: string, by: string): string {
  return plain.test(text) ? text : text.toWellFormed().replaceAll(unprintable, by);
}

/** Text of any number of lines in which control and format characters are shown as escapes, but for line ends and tabs. */
export function printableLines(text: string): string {
  if (plainLines.test(text)) return text;
  return text.toWellFormed().replaceAll('\r\n', '\n').replaceAll(unprintableInLines, escaped);
}

/** JSON that means the same and can be shown on a terminal. */
export function printableJson(json: string): string {
  return plainLines.test(json) ? json : json.replaceAll(unprintableInLines, escapedInJson);
}

const maxDepth = 64;

/** A value as JSON has them in which all texts are printable, the names of members included. */
export function printableValue(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return printableLines(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth > maxDepth) return '…';
  if (Array.isArray(value)) return value.map((item) => printableValue(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [escapeUnprintable(key), printableValue(member, depth + 1)]),
  );
}
