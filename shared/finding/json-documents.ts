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

/** How often, on average, a character may be read: a text of false starts alone would be read once for each of them. */
const maxReadings = 16;

/** The documents that start at the beginning of a line. Throws the error of JSON.parse if the last one was cut off. */
function documentsAtLineStarts(text: string): unknown[] {
  const documents: unknown[] = [];
  const start = /^[^\S\n]*[{[]/gm;
  let read = 0;
  for (let match = start.exec(text); match && read < maxReadings * text.length; match = start.exec(text)) {
    const from = start.lastIndex - 1;
    const end = endOf(text, from);
    const document = end === undefined ? undefined : parsed(text.slice(from, end));
    read += (end ?? text.length) - from;
    if (end === undefined || !document) {
      // A log line may begin with a bracket, but text that begins with a brace and doesn't end was cut off.
      if (text[from] === '{') JSON.parse(text.slice(from, end));
      continue;
    }
    documents.push(document.value);
    start.lastIndex = end;
  }
  return documents;
}

/** The documents that end a line, each after a prefix such as the time or the Pod that `kubectl logs` can print. */
function documentsAfterPrefixes(text: string): unknown[] {
  return text.split('\n').flatMap((line) => {
    const starts = [' {', ' [{'].map((start) => line.indexOf(start)).filter((at) => at >= 0);
    const document = starts.length > 0 ? parsed(line.slice(Math.min(...starts))) : undefined;
    return document ? [document.value] : [];
  });
}

/**
 * The JSON documents in a tool's output: one, or several in a row, possibly with log lines around them. A document
 * starts at the beginning of a line; if none does, it may be what a log line ends with. Throws the error of JSON.parse
 * if there is none, or if the last one was cut off.
 */
export function jsonDocuments(text: string): unknown[] {
  const whole = parsed(text);
  if (whole) return [whole.value];
  const documents = documentsAtLineStarts(text);
  if (documents.length > 0) return documents;
  const prefixed = documentsAfterPrefixes(text);
  if (prefixed.length === 0) JSON.parse(text);
  return prefixed;
}
