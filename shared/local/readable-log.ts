import { styleText } from 'node:util';
import { replaceUnprintable } from '../finding/printable.ts';
import type { LineWriter } from '../host/line-writer.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Fields that every line has, that are shown elsewhere in it, or that only a program needs. */
const hidden: ReadonlySet<string> = new Set([
  'level',
  'time',
  'msg',
  'component',
  'operation',
  'source',
  'correlation_id',
  'milliseconds',
  'status',
  'reason',
  'path',
  'at',
]);

/** What happened to an event, in the order in which it is shown. */
const counts = [
  'observed',
  'created',
  'duplicate',
  'unchanged',
  'renewed',
  'reopened',
  'updated',
  'missing',
  'resolved',
  'deleted',
  'filtered',
  'skipped',
  'dropped',
];

/** A pass without any of these found nothing new. */
const news = ['created', 'updated', 'reopened', 'missing', 'resolved', 'deleted', 'dropped'];

const wordWidth = 11;

const colours: Readonly<Record<string, Parameters<typeof styleText>[0]>> = {
  WARN: 'yellow',
  ERROR: 'red',
  FATAL: ['bold', 'red'],
};

function fieldsOf(line: string): Fields | undefined {
  try {
    return Object.assign({}, JSON.parse(line));
  } catch {
    return undefined;
  }
}

function has(fields: Fields, keys: readonly string[]): boolean {
  return keys.some((key) => typeof fields[key] === 'number' && fields[key] > 0);
}

/** Whether a line can be left out: a pass that found nothing new, or a request whose events have their own lines. */
function isQuiet({ msg, operation, ...fields }: Fields): boolean {
  if (msg !== 'handled') return false;
  if (operation === 'dev.knative.sources.ping') return !has(fields, news);
  return operation === 'receive' && has(fields, ['observed']) && !has(fields, ['dropped']);
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function messageOf(fields: Fields): string {
  const { msg, reason, path, status } = fields;
  const said = counts.filter((key) => has(fields, [key])).map((key) => `${textOf(fields[key])} ${key}`);
  if (msg === 'handled') return said.join(', ') || 'nothing to do';
  const why = reason === undefined ? '' : `: ${textOf(reason)}`;
  const where = path === undefined ? '' : ` (${textOf(path)})`;
  const rest = Object.entries(fields)
    .filter(([key]) => !hidden.has(key) && !counts.includes(key))
    .map(([key, value]) => `${key}=${textOf(value)}`);
  return [`${textOf(msg)}${status === undefined ? '' : ` ${textOf(status)}`}${why}${where}`, ...rest].join(' ');
}

/** A line of the log for a person at a terminal; `undefined` if it tells them nothing. */
export function readableLine(line: string): string | undefined {
  const fields = fieldsOf(line);
  if (!fields) return line.trimEnd();
  if (isQuiet(fields)) return undefined;
  const { level, source, operation } = fields;
  const word = textOf(source ?? operation ?? '').padEnd(wordWidth);
  const time = new Date(textOf(fields.time)).toTimeString().slice(0, 8);
  const colour = colours[textOf(level)];
  const mark = colour === undefined ? '' : `${styleText(colour, textOf(level), { stream: process.stdout })} `;
  // A tool's output must neither control the terminal nor break the line in two.
  return `${time}  ${word} ${mark}${replaceUnprintable(messageOf(fields), '?')}`;
}

/** Writes the lines of the log in a form for people. */
export function readable(writer: LineWriter): LineWriter {
  return {
    ...writer,
    write(line) {
      const text = readableLine(line);
      if (text !== undefined) writer.write(`${text}\n`);
    },
  };
}
