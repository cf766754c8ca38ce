import pino from 'pino';
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

/** The log of a process, whatever else it logs. */
export interface ProcessLog extends Log {
  /** An INFO line whatever the level is: where it listens, which nobody could learn otherwise. */
  announce(fields: LogFields, message: string): void;
  /** Resolves when what was logged is written, or can't be. */
  flush(): Promise<void>;
}

/** Where standard error is gone, too, nobody is left to be told. */
function sayUnwritable(code: string): void {
  process.stderr.write(`zen-watcher: the log can't be written: ${code}\n`);
}

export function standardOutput(): LineWriter {
  return createLineWriter(1, sayUnwritable);
}

/** What pino puts into a line for the time; of many lines in a millisecond one is formatted. */
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

/**
 * `level` is LOG_LEVEL's value, where it is none INFO (the settings' own check says so to the user); lines go to
 * `destination`, standard output by default.
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
    formatters: { level: (label) => ({ level: label.toUpperCase() }) },
  };
  const log = pino(options, destination);
  const always = log.child({}, { level: 'info' });
  return Object.assign(log, {
    announce: (fields: LogFields, message: string) => always.info(fields, message),
    flush: async () => destination.flush?.(),
  });
}
