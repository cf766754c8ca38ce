import pino from 'pino';

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

/**
 * Keeps a process alive whose log can't be written (a full disk, a reader that is gone): events matter more than lines.
 */
function tolerant(destination: ReturnType<typeof pino.destination>): typeof destination {
  destination.once('error', ({ code }: NodeJS.ErrnoException) => {
    process.stderr.write(`zen-watcher: the log can't be written: ${code}\n`);
    destination.on('error', () => undefined);
    // It would retry forever at the end of the process.
    destination.flushSync = () => undefined;
  });
  return destination;
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

/**
 * `level` is the value of LOG_LEVEL. A bad value means INFO here, and is reported when the settings are checked. Lines
 * go to `destination`, by default standard output.
 */
export function createLog(level: string, component: string, destination?: pino.DestinationStream): ProcessLog {
  const options: pino.LoggerOptions = {
    level: levels.has(level.toLowerCase()) ? level.toLowerCase() : 'info',
    base: { component },
    timestamp: createTimestamp(),
    formatters: { level: (label) => ({ level: label.toUpperCase() }) },
  };
  // One write per line would cost more than the rest of an event, so lines are written together: at the latest after a
  // tenth of a second, and when the process ends.
  const standardOutput = { dest: 1, sync: false, minLength: 8192, periodicFlush: 100 };
  const output = destination ? undefined : tolerant(pino.destination(standardOutput));
  const log = pino(options, destination ?? output);
  const always = log.child({}, { level: 'info' });
  return Object.assign(log, {
    announce: (fields: LogFields, message: string) => always.info(fields, message),
    flush: () => new Promise<void>((resolve) => (output ? output.flush(() => resolve()) : resolve())),
  });
}
