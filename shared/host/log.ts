import pino from 'pino';
import { oneLine } from '../finding/one-line.ts';
import { createLineWriter, type LineWriter } from './line-writer.ts';

export type LogFields = Readonly<Record<string, unknown>>;

/** One JSON object a line. Never a token, a header's value, a body or a secret's data in `fields`. */
export interface Log {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  fatal(fields: LogFields, message: string): void;
}

/** The log of a whole process. */
export interface ProcessLog extends Log {
  /** Logs an INFO line at any level: nothing else tells a user where the process listens. */
  announce(fields: LogFields, message: string): void;
  /** Resolves when all lines have been written, or can't be. */
  flush(): Promise<void>;
}

/** Where standard error is gone, too, nobody is left to be told. */
function sayUnwritable(code: string): void {
  process.stderr.write(`zen-watcher: the log can't be written: ${code}\n`);
}

export function standardOutput(): LineWriter {
  return createLineWriter(1, sayUnwritable);
}

/** The time as pino puts it into a line, formatted once for all lines of the same millisecond. */
function createTimestamp(): () => string {
  let at = -1;
  let text = '';
  return () => {
    const now = Date.now();
    if (now !== at) {
      at = now;
      text = `,"time":"${new Date(now).toISOString()}"`;
    }
    return text;
  };
}

const levels: ReadonlySet<string> = new Set(['debug', 'info', 'warn', 'error', 'fatal']);

/** What is logged of a text: events, objects and answers may hold texts of any length. */
const maxTextLength = 1024;

function bounded(value: unknown): unknown {
  if (typeof value === 'string') return oneLine(value, maxTextLength);
  if (typeof value !== 'object' || value === null) return value;
  const text = JSON.stringify(value);
  const line = oneLine(text, maxTextLength);
  return line === text ? value : line;
}

function boundedFields(fields: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, bounded(value)]));
}

/**
 * `level` is the value of LOG_LEVEL. A bad value means INFO here, and is reported when the settings are checked. Lines
 * go to `destination`, by default standard output.
 */
export function createLog(
  level: string,
  component: string,
  destination: Pick<LineWriter, 'write'> & Partial<LineWriter> = standardOutput(),
): ProcessLog {
  const options: pino.LoggerOptions = {
    level: levels.has(level.toLowerCase()) ? level.toLowerCase() : 'info',
    base: { component },
    timestamp: createTimestamp(),
    formatters: { level: (label) => ({ level: label.toUpperCase() }), log: boundedFields },
    hooks: {
      logMethod([fields, message], method) {
        method.call(this, fields, oneLine(String(message), maxTextLength));
      },
    },
  };
  const log = pino(options, destination);
  const always = log.child({}, { level: 'info' });
  return Object.assign(log, {
    announce: (fields: LogFields, message: string) => always.info(fields, message),
    flush: async () => destination.flush?.(),
  });
}
