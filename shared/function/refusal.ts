import type * as z from 'zod';
import { formatPath } from '../finding/format-path.ts';
import { oneLine } from '../finding/one-line.ts';

/**
 * The statuses that refuse a request. 429 and 503 ask the sender to try again; after any other, a retry would not help.
 */
export type RefusalStatus = 400 | 401 | 403 | 404 | 405 | 413 | 415 | 422 | 429 | 503;

/** Names of members are the sender's, and of any length. */
const maxPathLength = 256;

export interface RefusalOptions {
  /** Where in the input the fault is, such as `data.items[3].verb`. */
  readonly path?: string | undefined;
  /** In seconds, for 429 and 503. */
  readonly retryAfter?: number | undefined;
  readonly cause?: unknown;
  /** Whether it says only what was said a moment ago, so that the log needn't. */
  readonly isRepeated?: boolean | undefined;
  /** What another system has said, for the sender: it may quote what it was sent, so it never gets into a log. */
  readonly words?: string | undefined;
}

/**
 * Why an event or a request is not acknowledged. The message is short, constant, and sent to the sender. Whatever
 * varies belongs in `path` (sent too) or `cause` (logged only).
 */
export class Refusal extends Error {
  readonly status: RefusalStatus;
  readonly path: string | undefined;
  readonly retryAfter: number | undefined;
  readonly words: string | undefined;
  readonly isRepeated: boolean;

  constructor(status: RefusalStatus, message: string, options: RefusalOptions = {}) {
    super(message, { cause: options.cause });
    this.name = 'Refusal';
    this.status = status;
    this.path = options.path === undefined ? undefined : oneLine(options.path, maxPathLength);
    this.words = options.words;
    this.isRepeated = options.isRepeated ?? false;
    this.retryAfter = options.retryAfter ?? (status === 503 || status === 429 ? 1 : undefined);
  }

  /** Returns a Refusal unchanged, and wraps any other error in one with this status and message. */
  static from(error: unknown, status: RefusalStatus = 503, message = 'an unexpected fault', path?: string): Refusal {
    return error instanceof Refusal ? error : new Refusal(status, message, { path, cause: error });
  }
}

/** The field that a zod issue is about, such as `sources.falco.minSeverity`. An unknown field is named itself. */
export function fieldOf(issue: z.core.$ZodIssue | undefined): string {
  const path = issue?.path ?? [];
  return formatPath(issue?.code === 'unrecognized_keys' ? [...path, issue.keys[0] ?? ''] : path);
}

/** The field of the first fault in a configuration, spelt as its user wrote it, and what is wrong with it. */
export function faultyField({ issues: [issue] }: z.ZodError): { readonly field: string; readonly message: string } {
  return { field: fieldOf(issue), message: issue?.message ?? 'is invalid' };
}

/** The path of the first fault in some data, and what is wrong there. */
export function firstFault(error: z.ZodError, root: string): { readonly path: string; readonly message: string } {
  const issue = error.issues[0];
  return { path: formatPath(issue?.path ?? [], root), message: issue?.message ?? 'is invalid' };
}

/** A Refusal for the first fault in some data. */
export function schemaRefusal(error: z.ZodError, root: string): Refusal {
  const { path, message } = firstFault(error, root);
  return new Refusal(422, 'the data breaks the schema', { path, cause: message });
}
