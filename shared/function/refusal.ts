import type * as z from 'zod';

/** The statuses that a door may answer beside 204; DESIGN.md's table says which sender does what with each. */
export type RefusalStatus = 400 | 401 | 403 | 404 | 405 | 413 | 415 | 422 | 429 | 503;

export interface RefusalOptions {
  /** Where in the input, such as `data.items[3].verb`. */
  readonly path?: string | undefined;
  /** Seconds, for 429 and 503. */
  readonly retryAfter?: number | undefined;
  readonly cause?: unknown;
}

/**
 * Why an event or a request is not acknowledged. The message is short and constant and goes to the sender; whatever
 * varies is in `path` (sent too) and `cause` (logged only).
 */
export class Refusal extends Error {
  readonly status: RefusalStatus;
  readonly path: string | undefined;
  readonly retryAfter: number | undefined;

  constructor(status: RefusalStatus, message: string, options: RefusalOptions = {}) {
    super(message, { cause: options.cause });
    this.name = 'Refusal';
    this.status = status;
    this.path = options.path;
    this.retryAfter = options.retryAfter ?? (status === 503 || status === 429 ? 1 : undefined);
  }

  /** A Refusal as it is; any other error as one with this status and message, and the error as its cause. */
  static from(error: unknown, status: RefusalStatus = 503, message = 'an unexpected fault', path?: string): Refusal {
    return error instanceof Refusal ? error : new Refusal(status, message, { path, cause: error });
  }
}

/** `items[3].verb` from a zod issue's path. */
export function formatPath(path: readonly PropertyKey[], root = ''): string {
  let text = root;
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`;
    else text += text === '' ? String(key) : `.${String(key)}`;
  }
  return text;
}

/** The field that a zod issue is about, such as `sources.falco.minSeverity`; of one that is not known, its own name. */
export function fieldOf(issue: z.core.$ZodIssue | undefined): string {
  const path = issue?.path ?? [];
  return formatPath(issue?.code === 'unrecognized_keys' ? [...path, issue.keys[0] ?? ''] : path);
}

/** The field of a configuration's first fault, as its user wrote it, and what is wrong with it. */
export function faultyField({ issues: [issue] }: z.ZodError): { readonly field: string; readonly message: string } {
  return { field: fieldOf(issue), message: issue?.message ?? 'is invalid' };
}

/** Where the data's first fault is, and what it is. */
export function firstFault(error: z.ZodError, root: string): { readonly path: string; readonly message: string } {
  const issue = error.issues[0];
  return { path: formatPath(issue?.path ?? [], root), message: issue?.message ?? 'is invalid' };
}

/** The data's first fault, as the sender should read it. */
export function schemaRefusal(error: z.ZodError, root: string): Refusal {
  const { path, message } = firstFault(error, root);
  return new Refusal(422, 'the data breaks the schema', { path, cause: message });
}
