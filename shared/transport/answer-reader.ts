export interface Head {
  readonly status: number;
  /** The value of a header field, of several with that name joined by commas; `name` is in lower case. */
  field(name: string): string | undefined;
}

/** Who is told of an answer as it arrives. */
export interface Receiver {
  onHead(head: Head): void;
  onData(chunk: Buffer): void;
  onEnd(): void;
}

export interface AnswerReader {
  /** Takes what has arrived. Throws an Error where it is no answer of HTTP/1.1. */
  read(chunk: Buffer): void;
  /** The connection has ended. Throws an Error unless that is what ends the answer. */
  end(): void;
  isOver(): boolean;
  /** Whether the connection can carry another request when the answer is over. */
  isReusable(): boolean;
}

/** Of all header fields together, and of the line that begins a chunk. */
const longestHead = 65_536;
const lineEnd = '\r\n';

const statusLine = /^HTTP\/1\.([01]) (\d{3})(?=[ \r]|$)/;

/** Few of its fields are ever asked for, so none is read before. */
function readHead(text: string): Head & { readonly isOld: boolean } {
  const [, minor, status] = statusLine.exec(text) ?? [];
  if (status === undefined) throw new Error('no answer of HTTP/1.1');
  const lower = text.toLowerCase();
  return {
    status: Number(status),
    isOld: minor === '0',
    field(name) {
      const mark = `${lineEnd}${name}:`;
      const values: string[] = [];
      for (let at = lower.indexOf(mark); at !== -1; at = lower.indexOf(mark, at + 1)) {
        const end = text.indexOf(lineEnd, at + mark.length);
        values.push(text.slice(at + mark.length, end === -1 ? undefined : end).trim());
      }
      return values.length === 0 ? undefined : values.join(', ');
    },
  };
}

/** What follows a head: a body of so many bytes, one in chunks, or all that comes. */
function framingOf({ status, field }: Head): number | 'chunks' | 'to the end' {
  if (status === 204 || status === 304) return 0;
  const encoding = field('transfer-encoding');
  if (encoding?.toLowerCase() === 'chunked') return 'chunks';
  if (encoding !== undefined) throw new Error('an unknown transfer encoding');
  const length = field('content-length');
  return length === undefined ? 'to the end' : lengthOf(length, 10);
}

function lengthOf(text: string, radix: 10 | 16): number {
  const digits = radix === 10 ? /^\d{1,15}$/ : /^[\da-f]{1,12}$/i;
  if (!digits.test(text)) throw new Error('no length');
  return Number.parseInt(text, radix);
}

/**
 * Reads one answer of HTTP/1.1 (RFC 9112), in whatever pieces it arrives. Node's own client took a third of the CPU of a
 * create. Of HTTP, an API server and a Broker send no more than this: a body of a length, in chunks, or to the end.
 */
export function createAnswerReader(receiver: Receiver): AnswerReader {
  let at: 'head' | 'body' | 'size' | 'chunk' | 'chunk end' | 'trailer' | 'to the end' | 'over' = 'head';
  /** What has arrived of a line or a head that is not whole yet. */
  let rest: Buffer = Buffer.alloc(0);
  /** Bytes of the body, or of the chunk, that are still to come. */
  let remaining = 0;
  let isReusable = false;

  function over(): void {
    at = 'over';
    receiver.onEnd();
  }

  function begin(head: ReturnType<typeof readHead>): void {
    // "100 Continue" and its like come before the answer.
    if (head.status < 200) return;
    const framing = framingOf(head);
    remaining = typeof framing === 'number' ? framing : 0;
    at = framing === 'chunks' ? 'size' : framing === 'to the end' ? framing : 'body';
    isReusable = framing !== 'to the end' && !head.isOld && head.field('connection')?.toLowerCase() !== 'close';
    receiver.onHead(head);
    if (framing === 0) over();
  }

  /** The text up to a mark, of which what is behind it is left in `rest`; `undefined` while it has not arrived. */
  function textTo(mark: string): string | undefined {
    const end = rest.indexOf(mark, 0, 'latin1');
    if (end > longestHead || (end === -1 && rest.length > longestHead)) throw new Error('a line without an end');
    if (end === -1) return undefined;
    const text = rest.toString('latin1', 0, end);
    rest = rest.subarray(end + mark.length);
    return text;
  }

  function takeBody(): boolean {
    const part = at === 'to the end' || rest.length <= remaining ? rest : rest.subarray(0, remaining);
    rest = rest.subarray(part.length);
    remaining -= part.length;
    if (part.length > 0) receiver.onData(part);
    if (at === 'to the end' || remaining > 0) return false;
    if (at === 'body') over();
    else at = 'chunk end';
    return true;
  }

  function takeLine(): boolean {
    const text = textTo(lineEnd);
    if (text === undefined) return false;
    if (at === 'size') {
      remaining = lengthOf(text.split(';', 1).join('').trim(), 16);
      at = remaining === 0 ? 'trailer' : 'chunk';
    } else if (at === 'chunk end') {
      if (text !== '') throw new Error('a chunk is longer than it says');
      at = 'size';
    } else if (text === '') over();
    return true;
  }

  function takeHead(): boolean {
    const text = textTo(lineEnd + lineEnd);
    if (text === undefined) return false;
    begin(readHead(text));
    return true;
  }

  /** Whether there may be more in what has arrived. */
  function step(): boolean {
    if (at === 'over') return false;
    if (at === 'head') return takeHead();
    return at === 'body' || at === 'chunk' || at === 'to the end' ? takeBody() : takeLine();
  }

  return {
    read(chunk) {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      while (rest.length > 0 && step());
      // More than an answer: of what nobody has asked for, nothing can be the next one.
      if (at === 'over' && rest.length > 0) isReusable = false;
    },
    end() {
      if (at !== 'to the end') throw new Error('the answer was cut off');
      over();
    },
    isOver: () => at === 'over',
    isReusable: () => isReusable,
  };
}
