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

/** The log of a process, whatever else it logs. */
export interface ProcessLog extends Log {
  /** An INFO line whatever the level is: where it listens, which nobody could learn otherwise. */
  announce(fields: LogFields, message: string): void;
  /** Resolves when what was logged is written, or can't be. */
  flush(): Promise<void>;
}

/** A log that can't be written (a full disk, a reader that is gone) ends nothing: events are worth more than lines. */
function tolerant(destination: ReturnType<typeof pino.destination>): typeof destination {
  destination.once('error', ({ code }: NodeJS.ErrnoException) => {
    process.stderr.write(`zen-watcher: the log can't be written: ${code}\n`);
    destination.on('error', () => undefined);
    // At the end of the process it would try for ever.
    destination.flushSync = () => undefined;
  });
  return destination;
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
export function createLog(level: string, component: string, destination?: pino.DestinationStream): ProcessLog {
  const options: pino.LoggerOptions = {
    level: levels.has(level.toLowerCase()) ? level.toLowerCase() : 'info',
    base: { component },
    timestamp: createTimestamp(),
    formatters: { level: (label) => ({ level: label.toUpperCase() }) },
  };
  // A write a line costs more than the rest of an event: lines go out together, at the latest after a tenth of a
  // second, and what is left when the process ends is written then.
  const standardOutput = { dest: 1, sync: false, minLength: 8192, periodicFlush: 100 };
  const output = destination ? undefined : tolerant(pino.destination(standardOutput));
  const log = pino(options, destination ?? output);
  const always = log.child({}, { level: 'info' });
  return Object.assign(log, {
    announce: (fields: LogFields, message: string) => always.info(fields, message),
    flush: () => new Promise<void>((resolve) => (output ? output.flush(() => resolve()) : resolve())),
  });
}
