/** The text of a file, whichever Unicode its first bytes say: PowerShell's `>` writes UTF-16. */
export function decodeText(bytes: Uint8Array): string {
  const encoding = bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le' : 'utf-8';
  return new TextDecoder(encoding).decode(bytes);
}

/** Index just past the object or list that starts at `from`; `undefined` if the text ends before it does. */
function endOf(text: string, from: number): number | undefined {
  let depth = 0;
  let inString = false;
  for (let at = from; at < text.length; at += 1) {
    const character = text[at];
    if (inString) {
      if (character === '\\') at += 1;
      else if (character === '"') inString = false;
    } else if (character === '"') inString = true;
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
 * The JSON documents in what a tool printed: one, or several one after another, with lines of its log around them. A
 * document starts a line. Throws the error of JSON.parse where there is none, or where the last one was cut off.
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
      // A line of a log may begin with a bracket; what begins with a brace and doesn't end was cut off.
      if (text[from] === '{') JSON.parse(text.slice(from, end));
      continue;
    }
    documents.push(document.value);
    start.lastIndex = end;
  }
  if (documents.length === 0) JSON.parse(text);
  return documents;
}
