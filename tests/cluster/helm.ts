import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { Manifest } from '../../knative/generator/manifests.ts';
import { temporaryFolder } from '../host/program.ts';
import { findHelm, helmUnavailable } from './binaries.ts';

export const chart = join(import.meta.dirname, '..', '..', 'knative', 'chart');

/** Whether to skip a suite because helm can't run here; says so in one line. In CI it throws instead. */
export function skipWithoutHelm(): boolean {
  const reason = helmUnavailable();
  if (reason === undefined) return false;
  if (process.env.CI) throw new Error(reason);
  console.log(reason);
  return true;
}

let home: string | undefined;

/** Builds helm, if need be. */
export function prepareHelm(): void {
  findHelm();
}

/** Runs helm with nothing of the user's; throws with what it says if it fails. */
export async function helm(...args: string[]): Promise<string> {
  home ??= temporaryFolder();
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const env = { PATH: process.env.PATH ?? '', HOME: home, HELM_CONFIG_HOME: home, HELM_CACHE_HOME: home };
  execFile(findHelm(), args, { env, maxBuffer: 67_108_864 }, (error, stdout, stderr) => {
    if (error) reject(new Error(stderr.trim()));
    else resolve(stdout);
  });
  return promise;
}

/** The objects that `helm template` makes of a chart. */
export async function rendered(...args: string[]): Promise<Manifest[]> {
  const text = await helm('template', 'zen-watcher', chart, '--namespace', 'zen-system', '--skip-tests', ...args);
  return parseAllDocuments(text)
    .map((document) => document.toJS())
    .filter((manifest) => manifest !== null);
}
