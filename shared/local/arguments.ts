import { type ParseArgsConfig, parseArgs } from 'node:util';
import type { Environment } from '../function/settings.ts';
import { takenByNpm } from './npm-flags.ts';

/** A wrong command line; the message ends with a line that says how to get on. */
export class UsageError extends Error {
  constructor(message: string, help: string) {
    super(`${message}\n${help}`);
    this.name = 'UsageError';
  }
}

/** The folder of the embedded store, unless another one is named. */
export const defaultData = '.data';

/** Where the options of one of npm's scripts are listed. */
export function helpFor(command: string): string {
  return `All options: ${command} -- --help`;
}

/** Like `parseArgs`, but throws a UsageError. */
export function parseCommand<Config extends ParseArgsConfig>(config: Config, help: string) {
  try {
    return parseArgs(config);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), help);
  }
}

const usage = `Usage:
  npm start -- [options]     host every function in one process
  npm start -- <function>    serve one function, as in the image
  npm start -- standalone    for a cluster without Knative, as in the image

Options:
  --port N           listen on this port (8080; 0 picks a free one)
  --data DIR         folder of the embedded store (${defaultData})
  --objects DIR      Kubernetes objects and tools' JSON, watched for changes
  --config DIR       filters, exceptions, mappings and ingesters, watched
  --samples          play sample events of every source
  --kubeconfig FILE  use that cluster instead of a local store and folders
  --without A,B      standalone only: functions that are not hosted
  --help             show this`;

const help = helpFor('npm start');

export interface LocalArguments {
  readonly mode: 'local';
  readonly port: number | undefined;
  readonly data: string;
  readonly objects: string | undefined;
  readonly config: string | undefined;
  readonly samples: boolean;
  readonly kubeconfig: string | undefined;
}

export type StartArguments =
  | LocalArguments
  | { readonly mode: 'function'; readonly name: string }
  | { readonly mode: 'standalone'; readonly without: readonly string[] }
  | { readonly mode: 'help'; readonly usage: string };

const options = {
  port: { type: 'string' },
  data: { type: 'string' },
  objects: { type: 'string' },
  config: { type: 'string' },
  samples: { type: 'boolean' },
  kubeconfig: { type: 'string' },
  without: { type: 'string' },
  help: { type: 'boolean' },
} as const;

function parse(args: readonly string[]) {
  return parseCommand({ args: [...args], options, allowPositionals: true }, help);
}

function portOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  throw new UsageError('--port takes a number from 0 to 65535', help);
}

function functionArguments(
  [name = '', ...more]: readonly string[],
  { without, ...others }: ReturnType<typeof parse>['values'],
): StartArguments {
  if (more.length > 0) throw new UsageError('name one function at most', help);
  const [given] = Object.keys(others);
  if (given !== undefined)
    throw new UsageError(`--${given} is for local mode only: it can't be used with a function's name`, help);
  if (name === 'standalone') return { mode: 'standalone', without: without?.split(',') ?? [] };
  if (without !== undefined) throw new UsageError('--without is for standalone only', help);
  return { mode: 'function', name };
}

/** Throws a UsageError. */
export function parseStartArguments(args: readonly string[], environment: Environment): StartArguments {
  const taken = takenByNpm(environment, options, 'npm start');
  if (taken !== undefined) throw new UsageError(taken, help);
  const { values, positionals } = parse(args);
  if (values.help) return { mode: 'help', usage };
  if (positionals.length > 0) return functionArguments(positionals, values);
  if (values.without !== undefined) throw new UsageError('--without is for standalone only', help);
  if (values.kubeconfig !== undefined) {
    const local = (['data', 'objects', 'config', 'samples'] as const).find((option) => values[option] !== undefined);
    if (local)
      throw new UsageError(`--${local} can't be used with --kubeconfig, which takes everything from the cluster`, help);
  }
  return {
    mode: 'local',
    port: portOf(values.port),
    data: values.data ?? defaultData,
    objects: values.objects,
    config: values.config,
    samples: values.samples ?? false,
    kubeconfig: values.kubeconfig,
  };
}
