import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { atEnd } from '../host/at-end.ts';
import { temporaryFolder } from '../host/program.ts';
import { controllersUnavailable, findControllers } from './binaries.ts';
import { type Cluster, skipWithoutCluster } from './cluster.ts';

/** Who must be able to sign in for it. */
export const controlPlaneUsers = ['system:kube-controller-manager', 'system:kube-scheduler'];

/** Whether to skip a suite because they can't run here; says so in one line. In CI it throws instead. */
export function skipWithoutControlPlane(): boolean {
  if (skipWithoutCluster()) return true;
  const reason = controllersUnavailable();
  if (reason === undefined) return false;
  if (process.env.CI) throw new Error(reason);
  console.log(reason);
  return true;
}

/** The real kube-controller-manager, with an account for each controller, and kube-scheduler. */
export function startControlPlane(cluster: Cluster) {
  const binaries = findControllers();
  const folder = temporaryFolder();
  const running = new Set<ChildProcess>();
  const start = (binary: string, user: string, flags: readonly string[]): void => {
    const log = openSync(join(folder, `${user.replaceAll(':', '-')}.log`), 'a');
    const common = [
      '--leader-elect=false',
      '--secure-port=0',
      `--kubeconfig=${cluster.kubeconfig(cluster.tokenOf(user))}`,
    ];
    const child = spawn(binary, [...common, ...flags], { stdio: ['ignore', log, log], cwd: folder });
    running.add(child);
    child.once('exit', () => running.delete(child));
  };
  start(binaries.controllerManager, 'system:kube-controller-manager', [
    ...['--use-service-account-credentials=true', `--service-account-private-key-file=${cluster.accountKeyFile}`],
    ...[`--root-ca-file=${cluster.caFile}`, '--controllers=*', '--allocate-node-cidrs=false'],
    // What it does every few minutes it does every few seconds, so that a minute shows it.
    ...[
      '--resource-quota-sync-period=10s',
      '--horizontal-pod-autoscaler-sync-period=5s',
      '--pvclaimbinder-sync-period=5s',
    ],
    ...['--terminated-pod-gc-threshold=3', '--min-resync-period=30s'],
  ]);
  start(binaries.scheduler, 'system:kube-scheduler', []);
  const hasEnded = atEnd(() => {
    for (const child of running) child.kill('SIGKILL');
  });
  return {
    /** The last lines of what they have logged; of what ended by itself, too. */
    log(): string {
      return controlPlaneUsers
        .map((user) => readFileSync(join(folder, `${user.replaceAll(':', '-')}.log`), 'utf8').slice(-3000))
        .join('\n');
    },
    isRunning: () => running.size === controlPlaneUsers.length,
    async stop(): Promise<void> {
      const exits = [...running].map((child) => once(child, 'exit'));
      for (const child of running) child.kill('SIGKILL');
      await Promise.all(exits);
      hasEnded();
    },
  };
}
