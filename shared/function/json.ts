import { Refusal } from './refusal.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Throws a Refusal 400 with this path. */
export function parseJson(bytes: Uint8Array, path: string): unknown {
  try {
    return JSON.parse(utf8.decode(bytes));
  } catch (cause) {
    throw new Refusal(400, 'malformed JSON', { path, cause: cause instanceof Error ? cause.name : cause });
  }
}
