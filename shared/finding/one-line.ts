import { escapeUnprintable } from './printable.ts';

/** A printable line of ASCII, as most texts are. */
const plainLine = /^[!-~]+(?: [!-~]+)*$/;

/**
 * Text as one printable line: each run of white space becomes one space, and control and format characters are shown as
 * escapes. Longer lines are cut after `max` UTF-16 code units, with `…` at the end.
 */
export function oneLine(text: string, max: number): string {
  if (text.length <= max && plainLine.test(text)) return text;
  const whole = text.trim();
  // Four times the limit nearly always fills the line, whatever is collapsed; more would only cost time.
  const line = escapeUnprintable(whole.slice(0, max * 4).replaceAll(/\s+/g, ' '));
  if (line.length <= max && whole.length <= max * 4) return line;
  const cut = line.slice(0, max - 1);
  return `${cut.isWellFormed() ? cut : cut.slice(0, -1)}…`;
}
