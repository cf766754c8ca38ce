import type { Observation } from '../../shared/api/observation.ts';
import { markOf, ownMark } from '../../shared/api/own-mark.ts';
import { isPath, type Path, parsePath, scalarText, valueAt } from '../../shared/api/path.ts';
import type { Change, SinkMessage } from '../../shared/function/definitions.ts';
import type { CommonSettings } from '../../shared/function/settings.ts';
import { recordOf } from './formats.ts';

/** Makes what is sent of a record. */
type Part = (record: unknown) => unknown;

/** What a user has written in place of a preset. */
export interface Template {
  readonly fill: Part;
}

class TemplateFault extends Error {}

function pathOf(text: string): Path {
  const path = parsePath(text);
  if (!path) throw new TemplateFault(`${text} is no path`);
  return path;
}

/** A path as a whole is what it leads to, whatever that is; a text has what paths in braces lead to. */
function textPart(text: string): Part {
  if (isPath(text)) {
    const path = pathOf(text);
    return (record) => valueAt(path, record, record);
  }
  const pieces = text.split(/\{([.$][^{}]*)\}/);
  const parts = pieces.map((piece, index): Part => {
    if (index % 2 === 0) return () => piece;
    const path = pathOf(piece);
    return (record) => scalarText(valueAt(path, record, record)) ?? '';
  });
  return (record) => parts.map((part) => part(record)).join('');
}

function partOf(value: unknown): Part {
  if (typeof value === 'string') return textPart(value);
  if (typeof value !== 'object' || value === null) return () => value;
  if (Array.isArray(value)) {
    const parts = value.map(partOf);
    return (record) => parts.map((part) => part(record));
  }
  const parts = Object.entries(value).map(([key, member]): [string, Part] => [key, partOf(member)]);
  return (record) => Object.fromEntries(parts.map(([key, part]) => [key, part(record)]));
}

/** Reads a template, or says what is wrong with it. */
export function parseTemplate(text: string): Template | { readonly fault: string } {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return { fault: 'it is no object' };
    return { fill: partOf(value) };
  } catch (error) {
    return { fault: error instanceof TemplateFault ? error.message : 'it is no JSON' };
  }
}

/** Paths begin at what the preset `json` sends: `.observation.spec.summary`, `.change`, `.cluster`. */
export function messageOf(
  { fill }: Template,
  observation: Observation,
  change: Change,
  settings: CommonSettings,
): SinkMessage {
  const filled = Object.assign({}, fill(recordOf(observation, change, settings)));
  const body = JSON.stringify({ ...filled, [ownMark]: markOf(observation) });
  return { contentType: 'application/json', body };
}
