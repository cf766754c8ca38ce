/** Text that takes one cell for each of its characters. */
const narrow = /^[ -~]*$/;

/**
 * What takes two cells: characters of East Asian scripts, their punctuation and full-width forms, and emoji
 * (https://www.unicode.org/reports/tr11/). Half-width forms of those scripts take one.
 */
const wide =
  /(?![\uff61-\uffdc])[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6\p{Emoji_Presentation}]|\p{Emoji}\ufe0f/u;

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

function cellsOf(grapheme: string): number {
  return wide.test(grapheme) ? 2 : 1;
}

/** How many cells of a terminal a text takes. Every grapheme that isn't wide takes one. */
export function widthOf(text: string): number {
  if (narrow.test(text)) return text.length;
  return [...graphemes.segment(text)].reduce((sum, { segment }) => sum + cellsOf(segment), 0);
}

/** As much of the start of a text as fits into that many cells. */
function startOf(text: string, width: number): string {
  if (narrow.test(text)) return text.slice(0, width);
  let cells = 0;
  let end = 0;
  for (const { segment, index } of graphemes.segment(text)) {
    cells += cellsOf(segment);
    if (cells > width) break;
    end = index + segment.length;
  }
  return text.slice(0, end);
}

/** A text that takes at most that many cells; it ends with `…` if it was longer. */
export function cutToWidth(text: string, width: number): string {
  return widthOf(text) <= width ? text : `${startOf(text, width - 1).trimEnd()}…`;
}

export function padToWidth(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - widthOf(text)));
}

/** A word in pieces that fit. */
function piecesOf(word: string, width: number): string[] {
  const pieces: string[] = [];
  let rest = word;
  while (widthOf(rest) > width) {
    const piece = startOf(rest, width);
    pieces.push(piece);
    rest = rest.slice(piece.length);
  }
  return [...pieces, rest];
}

/**
 * One line of text as lines that take at most that many cells (two at least), broken at spaces where there are any. They
 * are indented as the line is.
 */
export function wrapLine(line: string, width: number): string[] {
  if (widthOf(line) <= width) return [line];
  const indent = /^ */.exec(line)?.[0].slice(0, Math.max(0, width - 2)) ?? '';
  const room = Math.max(2, width - indent.length);
  const lines: string[] = [];
  let current = '';
  for (const piece of line
    .trim()
    .split(/ +/)
    .flatMap((word) => piecesOf(word, room))) {
    const longer = current === '' ? piece : `${current} ${piece}`;
    if (widthOf(longer) <= room) {
      current = longer;
    } else {
      lines.push(current);
      current = piece;
    }
  }
  return [...lines, current].map((text) => indent + text);
}
