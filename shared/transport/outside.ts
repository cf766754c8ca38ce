import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { rootCertificates } from 'node:tls';
import type { Answer, Outgoing, Outside } from '../function/context.ts';
import { createHttpClient, type HttpClient } from './http-client.ts';

/** A receiver that takes longer is taken for one that is down. The Broker waits for a minute in all. */
const attemptMilliseconds = 10_000;

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

/** Posts to other systems over keep-alive connections. */
export function createOutside(): Outside {
  /** By origin and file of certificates. */
  const clients = new Map<string, HttpClient>();

  function clientFor(server: URL, caFile: string | undefined): HttpClient {
    const key = `${server.origin} ${caFile ?? ''}`;
    const tls = () => (caFile === undefined ? {} : { ca: [...rootCertificates, textOf(caFile)] });
    const client = clients.get(key) ?? createHttpClient({ server, tls, limit: maxConnections });
    clients.set(key, client);
    return client;
  }

  async function post(outgoing: Outgoing, signal: AbortSignal): Promise<Answer> {
    const { contentType, body, tokenFile, caFile } = outgoing;
    const url = new URL(typeof outgoing.url === 'string' ? outgoing.url : textOf(outgoing.url.file));
    const answer = await clientFor(url, caFile).send({
      method: 'POST',
      path: url.pathname + url.search,
      headers: {
        'content-type': contentType,
        ...(tokenFile !== undefined && { authorization: `Bearer ${textOf(tokenFile)}` }),
      },
      body,
      signal,
      timeout: attemptMilliseconds,
    });
    return { status: answer.statusCode ?? 503, retryAfter: retryAfterOf(answer), words: await wordsOf(answer) };
  }

  return { post };
}
