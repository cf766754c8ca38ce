import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { rootCertificates } from 'node:tls';
import type { Answer, Outgoing, Outside } from '../function/context.ts';
import { createHttpClient, type HttpClient } from './http-client.ts';

/** A receiver that takes longer is taken for one that is down. The Broker waits for a minute in all. */
const attemptMilliseconds = 10_000;

/** How long a receiver that gave no answer is left alone. */
const silenceMilliseconds = 5000;

/** The longest that one is left alone, whatever it asks for. */
const longestPauseMilliseconds = 60_000;

/** How long somebody must have waited for it. What breaks sooner, a connection that is refused or reset, keeps nobody waiting. */
const waitedMilliseconds = 1000;

const maxConnections = 16;

/** What is read of an answer, in bytes. */
const maxAnswer = 2048;

/** Reads a file each time, since the kubelet replaces it while the process runs. */
function textOf(file: string): string {
  const text = readFileSync(file, 'utf8').trim();
  if (text === '') throw new Error('a mounted file is empty');
  return text;
}

/** https://www.rfc-editor.org/rfc/rfc9110#field.retry-after: seconds, or a date. */
function retryAfterOf({ headers: { 'retry-after': value } }: IncomingMessage): number | undefined {
  if (value === undefined) return undefined;
  const seconds = /^\d{1,9}$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isFinite(seconds) && seconds > 0 ? Math.ceil(seconds) : undefined;
}

/** The beginning of an answer. The connection is free for the next request once all of it has been read. */
async function wordsOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of answer) {
    if (length >= maxAnswer || !Buffer.isBuffer(chunk)) continue;
    chunks.push(chunk.subarray(0, maxAnswer - length));
    length += chunk.length;
  }
  return Buffer.concat(chunks).toString();
}

/** Why a receiver is left alone, and when it may be tried again, by one alone: in milliseconds of `elapsed`. */
interface Rest {
  readonly until: number;
  /** What it has said; `undefined` if it has said nothing. */
  readonly answer: Answer | undefined;
}

interface Known {
  readonly client: HttpClient;
  rest: Rest | undefined;
}

/** What is answered without asking it. */
function answerAtRest({ until, answer }: Rest, now: number): Answer {
  const retryAfter = Number.isFinite(until) ? Math.ceil((until - now) / 1000) : 1;
  return { status: 503, words: '', ...answer, retryAfter, isAtRest: true };
}

/** How long a receiver wants to be left alone. */
function pauseAfter({ status, retryAfter }: Answer): number {
  if (retryAfter === undefined || (status !== 429 && status !== 503)) return 0;
  return Math.min(retryAfter * 1000, longestPauseMilliseconds);
}

/**
 * Posts to other systems over keep-alive connections. One that asks for a pause gets it, although not every Broker heeds that; and
 * what has kept somebody waiting in vain is left alone for a moment, so that those who wait for others, too, don't wait for it
 * each time. `elapsed` is monotonic, in milliseconds.
 */
export function createOutside(elapsed = (): number => performance.now()): Outside {
  /** By origin and file of certificates. */
  const all = new Map<string, Known>();

  function knownAs(server: URL, caFile: string | undefined): Known {
    const key = `${server.origin} ${caFile ?? ''}`;
    const tls = () => (caFile === undefined ? {} : { ca: [...rootCertificates, textOf(caFile)] });
    const known = all.get(key) ?? {
      client: createHttpClient({ server, tls, limit: maxConnections }),
      rest: undefined,
    };
    all.set(key, known);
    return known;
  }

  async function tryOnce(known: Known, work: () => Promise<Answer>): Promise<Answer> {
    const began = elapsed();
    const { rest: before } = known;
    if (before) {
      if (began < before.until) return answerAtRest(before, began);
      known.rest = { ...before, until: Number.POSITIVE_INFINITY };
    }
    try {
      const answer = await work();
      const pause = pauseAfter(answer);
      known.rest = pause > 0 ? { until: elapsed() + pause, answer } : undefined;
      return answer;
    } catch (error) {
      const now = elapsed();
      known.rest = now - began >= waitedMilliseconds ? { until: now + silenceMilliseconds, answer: undefined } : before;
      throw error;
    }
  }

  async function post(outgoing: Outgoing, signal: AbortSignal): Promise<Answer> {
    const { contentType, body, tokenFile, caFile } = outgoing;
    const url = new URL(typeof outgoing.url === 'string' ? outgoing.url : textOf(outgoing.url.file));
    const headers = {
      'content-type': contentType,
      ...(tokenFile !== undefined && { authorization: `Bearer ${textOf(tokenFile)}` }),
    };
    const known = knownAs(url, caFile);
    return tryOnce(known, async () => {
      const answer = await known.client.send({
        method: 'POST',
        path: url.pathname + url.search,
        headers,
        body,
        signal,
        timeout: attemptMilliseconds,
      });
      return { status: answer.statusCode ?? 503, retryAfter: retryAfterOf(answer), words: await wordsOf(answer) };
    });
  }

  return { post };
}
