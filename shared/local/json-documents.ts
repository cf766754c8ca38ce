/** Decodes a file as UTF-16 if it starts with that byte order mark, as what PowerShell's `>` writes does; else as UTF-8. */
export function decodeText(bytes: Uint8Array): string {
  const encoding = bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le' : 'utf-8';
  return new TextDecoder(encoding).decode(bytes);
}

/** Index of the quote that closes the string that starts at `from`; the length of the text if there is none. */
function closingQuote(text: string, from: number): number {
  for (let at = from + 1; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '"') return at;
  }
  return text.length;
}

/** Index just past the object or list that starts at `from`; `undefined` if the text ends before it does. */
function endOf(text: string, from: number): number | undefined {
  let depth = 0;
  for (let at = from; at < text.length; at += 1) {
    const character = text[at];
    if (character === '"') at = closingQuote(text, at);
    else if (character === '{' || character === '[') depth += 1;
    else if (character === '}' || character === ']') {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  return undefined;
}

function parsed(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

/**
 * The JSON documents in a tool's output: one, or several in a row, possibly with log lines around them. A document
 * starts at the beginning of a line. Throws the error of JSON.parse if there is none, or if the last one was cut off.
 */
export function jsonDocuments(text: string): unknown[] {
  const whole = parsed(text);
  if (whole) return [whole.value];
  const documents: unknown[] = [];
  const start = /^[^\S\n]*[{[]/gm;
  for (let match = start.exec(text); match; match = start.exec(text)) {
    const from = start.lastIndex - 1;
    const end = endOf(text, from);
    const document = end === undefined ? undefined : parsed(text.slice(from, end));
    if (end === undefined || !document) {
      // A log line may begin with a bracket, but text that begins with a brace and doesn't end was cut off.
      if (text[from] === '{') JSON.parse(text.slice(from, end));
      continue;
    }
    documents.push(document.value);
    start.lastIndex = end;
  }
  if (documents.length === 0) JSON.parse(text);
  return documents;
}
