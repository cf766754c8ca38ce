import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gzip, gzipSync } from 'node:zlib';
import type { Express, Request, Response } from 'express';
import { printableJson } from '../finding/printable.ts';
import { Refusal } from '../function/refusal.ts';
import { pageScript, pageStyle } from '../view/page-file.ts';
import type { Viewer } from '../view/viewer.ts';

/** Who asks, and for which namespace. */
export interface ViewRequest {
  readonly headers: IncomingHttpHeaders;
  readonly namespace: string | undefined;
}

export interface ViewRoutesOptions {
  /** What this person may see. Throws a Refusal 401 or 403. */
  viewerFor(request: ViewRequest): Promise<Viewer>;
  /** How to get in, for whoever is answered 401. */
  readonly signIn: string;
}

function sha256(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}

interface PageFile {
  readonly html: Buffer;
  readonly zipped: Buffer;
  readonly headers: OutgoingHttpHeaders;
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}

/** The page, one file: it loads nothing, and talks to nobody but this server. */
function createPageFile(signIn: string): PageFile {
  const html = Buffer.from(
    [
      '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>zen-watcher</title>',
      '<meta name="viewport" content="width=device-width, initial-scale=1">',
      '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">',
      `<meta name="sign-in" content="${escapeHtml(signIn)}">`,
      `<style>${pageStyle}</style></head><body><div id="page"></div>`,
      '<noscript>This page needs JavaScript. What it shows is also at <a href="/observations">/observations</a>.</noscript>',
      `<script type="module">${pageScript}</script></body></html>\n`,
    ].join(''),
  );
  const policy = [
    "default-src 'none'",
    `script-src ${sha256(pageScript)}`,
    `style-src ${sha256(pageStyle)}`,
    'img-src data:',
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ];
  return {
    html,
    zipped: gzipSync(html, { level: 9 }),
    headers: {
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Security-Policy': policy.join('; '),
      'Referrer-Policy': 'no-referrer',
      'X-Frame-Options': 'DENY',
      'Cross-Origin-Opener-Policy': 'same-origin',
      'Cross-Origin-Resource-Policy': 'same-origin',
      'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
    },
  };
}

const common = { 'X-Content-Type-Options': 'nosniff', 'Cache-Control': 'no-store', Vary: 'Accept-Encoding' };

function takesGzip(request: Request): boolean {
  return /\bgzip\b/.test(request.get('accept-encoding') ?? '');
}

const gzipped = promisify(gzip);

/** Shorter ones are not worth the time. */
const leastZipped = 2048;

/** Whoever asks with curl reads it on a terminal. */
async function sendJson(request: Request, response: Response, value: unknown): Promise<void> {
  const body = Buffer.from(printableJson(JSON.stringify(value)));
  const isZipped = body.length >= leastZipped && takesGzip(request);
  response
    .set({
      ...common,
      'Content-Type': 'application/json; charset=utf-8',
      ...(isZipped && { 'Content-Encoding': 'gzip' }),
    })
    .send(isZipped ? await gzipped(body, { level: 1 }) : body);
}

/** Waits while the other side takes nothing. */
async function write(response: ServerResponse, text: string, signal: AbortSignal): Promise<void> {
  if (response.write(text)) return;
  await new Promise<void>((resolve) => {
    response.once('drain', resolve);
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Aborts when nobody listens any more. */
function untilClosed(response: ServerResponse): AbortSignal {
  const closed = new AbortController();
  response.once('close', () => closed.abort());
  return closed.signal;
}

/** So often something is said to one who waits for changes: what lies between would forget a silent connection. */
const heartbeatMilliseconds = 15_000;

async function stream(response: Response, type: string, parts: AsyncGenerator<string>, signal: AbortSignal) {
  const headers = { ...common, 'Content-Type': `${type}; charset=utf-8`, 'X-Accel-Buffering': 'no' };
  // The first part, or its fault, decides what is answered.
  let next = await parts.next();
  response.set(headers);
  while (!next.done && !signal.aborted) {
    // In a spreadsheet's file, the ends of lines are control characters.
    await write(response, type === 'text/csv' ? next.value : printableJson(next.value), signal);
    next = await parts.next();
  }
  response.end();
}

/** Lines of JSON as they come. An empty line only says that the connection is alive. */
async function streamChanges(response: Response, lines: AsyncGenerator<string>, signal: AbortSignal): Promise<void> {
  response.set({ ...common, 'Content-Type': 'application/x-ndjson; charset=utf-8', 'X-Accel-Buffering': 'no' });
  response.write('\n');
  const timer = setInterval(() => response.write('\n'), heartbeatMilliseconds);
  try {
    for await (const line of lines) await write(response, printableJson(line), signal);
  } finally {
    clearInterval(timer);
    response.end();
  }
}

const maxBody = 65_536;

async function bodyOf(request: Request): Promise<unknown> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk);
    length += bytes.length;
    if (length > maxBody) throw new Refusal(413, 'the body is too long');
    chunks.push(bytes);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch (cause) {
    throw new Refusal(400, 'the body is no JSON', { cause });
  }
}

/**
 * Where a proxy takes a cookie for a person, another site's page could have their browser send a form. It can't send this header, or
 * this type, without asking first.
 */
function checkIsFromPage(request: Request): void {
  const isOurs = request.get('x-requested-by') === 'zen-watcher' && request.is('application/json') !== false;
  if (!isOurs) throw new Refusal(403, 'only the page may write: the header X-Requested-By: zen-watcher is missing');
}

function viewerOf({ headers, query }: Request, { viewerFor }: ViewRoutesOptions): Promise<Viewer> {
  return viewerFor({ headers, namespace: typeof query.namespace === 'string' ? query.namespace : undefined });
}

/** What has a body; to be added before whatever reads past bodies. */
export function addViewWrites(app: Express, options: ViewRoutesOptions): void {
  app.post('/observations/exceptions', async (request, response) => {
    checkIsFromPage(request);
    const viewer = await viewerOf(request, options);
    await viewer.accept(await bodyOf(request));
    response.set(common).status(201).end();
  });
}

/** The page and what it asks for. Returns the paths. */
export function addViewRoutes(app: Express, options: ViewRoutesOptions): string[] {
  let file: PageFile | undefined;
  app.get('/', (request, response) => {
    file ??= createPageFile(options.signIn);
    const isZipped = takesGzip(request);
    response
      .set({ ...common, ...file.headers, ...(isZipped && { 'Content-Encoding': 'gzip' }) })
      .send(isZipped ? file.zipped : file.html);
  });
  app.get('/observations', async (request, response) => {
    const viewer = await viewerOf(request, options);
    if (request.query.watch === undefined) return sendJson(request, response, await viewer.list(request.query));
    const signal = untilClosed(response);
    await streamChanges(response, viewer.watch(request.query, signal), signal);
  });
  app.get('/observations/counts', async (request, response) =>
    sendJson(request, response, await (await viewerOf(request, options)).counts(request.query)),
  );
  app.get('/observations/table', async (request, response) =>
    sendJson(request, response, (await viewerOf(request, options)).table(request.query)),
  );
  app.get('/observations/one', async (request, response) =>
    sendJson(request, response, await (await viewerOf(request, options)).one(request.query)),
  );
  app.get('/observations/session', async (request, response) =>
    sendJson(request, response, await (await viewerOf(request, options)).session(request.query)),
  );
  app.get('/observations/export', async (request, response) => {
    const { type, file: name, parts } = (await viewerOf(request, options)).export(request.query);
    response.set('Content-Disposition', `attachment; filename="${name}"`);
    await stream(response, type, parts, untilClosed(response));
  });
  return ['/', ...viewPaths];
}

/** All but the page itself. */
export const viewPaths: readonly string[] = [
  '/observations',
  '/observations/counts',
  '/observations/table',
  '/observations/one',
  '/observations/session',
  '/observations/export',
  '/observations/exceptions',
];
