/** Control and format characters (C0, C1, bidirectional overrides, zero-width), which could give orders to a terminal. */
const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Printable ASCII, as most texts are. */
const plain = /^[ -~]*$/;

function escaped(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}

/** Text with its control and format characters shown as escapes. */
export function escapeUnprintable(text: string): string {
  return plain.test(text) ? text : text.toWellFormed().replaceAll(unprintable, escaped);
}

/**
 * Text as one printable line: each run of white space becomes one space, and control and format characters are shown as
 * escapes. Longer lines are cut after `max` UTF-16 code units, with `…` at the end.
 */
export function oneLine(text: string, max: number): string {
  const whole = text.trim();
  // Four times the limit nearly always fills the line, whatever is collapsed; more would only cost time.
  const line = escapeUnprintable(whole.slice(0, max * 4).replaceAll(/\s+/g, ' '));
  if (line.length <= max && whole.length <= max * 4) return line;
  const cut = line.slice(0, max - 1);
  return `${cut.isWellFormed() ? cut : cut.slice(0, -1)}…`;
}
