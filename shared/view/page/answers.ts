import type { Severity } from '../../finding/severity.ts';

/** What the server answers, as the page reads it: see shared/view/openapi.yaml. */

export interface Resource {
  readonly apiVersion?: string;
  readonly kind: string;
  readonly name?: string;
  readonly namespace?: string;
}

export interface Row {
  readonly namespace: string;
  readonly name: string;
  readonly source: string;
  readonly severity: Severity;
  readonly rule: string;
  readonly summary: string;
  readonly state: string;
  readonly actor: string;
  readonly image: string;
  readonly fix: string;
  readonly exception: string;
  readonly reason: string;
  readonly resource?: Resource;
  readonly workload: string;
  /** null: without an end; 0: not at all. */
  readonly acceptedUntil: number | null;
  readonly createdAt: number;
  readonly changedAt: number;
}

export interface FacetCounts {
  readonly distinct: number;
  readonly items: readonly { readonly value: string; readonly severities: readonly number[] }[];
}

export interface Table {
  /** What whoever looks should mend. */
  readonly problems: readonly string[];
  readonly total: number;
  readonly read: number;
  readonly isComplete: boolean;
  readonly views: Readonly<Record<string, readonly number[]>>;
  readonly facets: Readonly<Record<string, FacetCounts>>;
  readonly items: readonly Row[];
}

export interface Observation {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly creationTimestamp?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly source: string;
    readonly category: string;
    readonly severity: Severity;
    readonly eventType: string;
    readonly rule?: string;
    readonly summary?: string;
    readonly remediation?: string;
    readonly references?: readonly string[];
    readonly resource?: Resource;
    readonly actor?: {
      readonly username: string;
      readonly groups?: readonly string[];
      readonly sourceIP?: string;
      readonly userAgent?: string;
      readonly via?: string;
    };
    readonly details?: Readonly<Record<string, unknown>>;
    readonly detectedAt?: string;
  };
  readonly status?: {
    readonly series?: { readonly count: number; readonly lastObservedTime: string; readonly seen?: readonly string[] };
  };
}

export interface Session {
  readonly kind: 'local' | 'cluster';
  readonly namespace?: string;
  readonly systemNamespace: string;
  /** Where exceptions are files, the folder of them; absent if there is none yet. */
  readonly config?: string;
  readonly mayAccept: boolean;
}

/** An answer that is no success, or none at all (status 0). */
export class Fault extends Error {
  readonly status: number;
  readonly path: string | undefined;

  constructor(status: number, message: string, path?: string) {
    super(message);
    this.status = status;
    this.path = path;
  }
}

async function faultOf(response: Response): Promise<Fault> {
  const body: unknown = await response.json().catch(() => undefined);
  const [message, path] =
    typeof body === 'object' && body !== null ? [Reflect.get(body, 'error'), Reflect.get(body, 'path')] : [];
  const text = typeof message === 'string' ? message : `the server answered ${response.status}`;
  return new Fault(response.status, text, typeof path === 'string' ? path : undefined);
}

async function send(path: string, options: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { cache: 'no-store', redirect: 'error', ...options });
  } catch (cause) {
    if (options.signal?.aborted) throw cause;
    throw new Fault(0, 'The server cannot be reached');
  }
  if (!response.ok) throw await faultOf(response);
  return response;
}

export async function ask<Answer>(path: string, query: URLSearchParams, signal?: AbortSignal): Promise<Answer> {
  const response = await send(`${path}?${query}`, signal ? { signal } : {});
  return response.json();
}

export async function post(path: string, body: unknown): Promise<void> {
  const headers = { 'Content-Type': 'application/json', 'X-Requested-By': 'zen-watcher' };
  await send(path, { method: 'POST', headers, body: JSON.stringify(body) });
}

/** Calls `onChange` for each line that says something, until the stream ends. */
export async function followChanges(query: URLSearchParams, signal: AbortSignal, onChange: (isOpen: boolean) => void) {
  const response = await send(`/observations?${query}`, { signal });
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  onChange(true);
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    if (part.value.trim() !== '') onChange(false);
  }
}
