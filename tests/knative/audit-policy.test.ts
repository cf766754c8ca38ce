import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import audit from '../../functions/audit.ts';
import { parseSettings } from '../../shared/function/settings.ts';
import { normalizeData } from '../../shared/pipeline/parse.ts';
import { type Cluster, skipWithoutCluster, startCluster } from '../cluster/cluster.ts';
import { temporaryFolder, until } from '../host/program.ts';

const policy = join(import.meta.dirname, '..', '..', 'knative', 'audit-policy.yaml');

interface Deed {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly patch?: boolean;
  /** What the audit rules report; `undefined`: the API server must not even log it. */
  readonly eventType: string | undefined;
}

const pod = (name: string, privileged: boolean) => ({
  metadata: { name },
  spec: {
    containers: [
      { name: 'c', image: 'busybox', env: [{ name: 'T', value: 'PLANTED-SECRET' }], securityContext: { privileged } },
    ],
  },
});
const shop = '/api/v1/namespaces/shop';
const rbac = '/apis/rbac.authorization.k8s.io/v1/namespaces/shop/roles';
const secret = { metadata: { name: 's' }, stringData: { password: 'PLANTED-SECRET' } };

const deeds: readonly Deed[] = [
  { method: 'POST', path: `${shop}/pods`, body: pod('privileged', true), eventType: 'privileged-pod-creation' },
  { method: 'GET', path: `${shop}/pods/privileged/exec?command=id&stdout=true`, eventType: 'pod-exec' },
  { method: 'POST', path: `${shop}/pods/privileged/attach?stdout=true`, eventType: 'pod-exec' },
  { method: 'POST', path: `${shop}/secrets`, body: secret, eventType: 'secret-access' },
  {
    method: 'PATCH',
    path: `${shop}/secrets/s`,
    body: { stringData: { a: 'PLANTED-SECRET' } },
    patch: true,
    eventType: 'secret-access',
  },
  { method: 'POST', path: `${shop}/configmaps`, body: { metadata: { name: 'c' } }, eventType: 'secret-access' },
  { method: 'POST', path: rbac, body: { metadata: { name: 'r' }, rules: [] }, eventType: 'rbac-change' },
  { method: 'DELETE', path: `${rbac}/r`, eventType: 'rbac-change' },
  { method: 'DELETE', path: `${shop}/secrets/s`, eventType: 'resource-deletion' },
  { method: 'DELETE', path: `${shop}/configmaps`, eventType: 'resource-deletion' },
  { method: 'GET', path: `${shop}/secrets`, eventType: undefined },
  { method: 'GET', path: `${shop}/pods`, eventType: undefined },
  {
    method: 'POST',
    path: `${shop}/services`,
    body: { metadata: { name: 'v' }, spec: { ports: [{ port: 80 }] } },
    eventType: undefined,
  },
  {
    method: 'POST',
    path: `${shop}/events`,
    body: { metadata: { name: 'e' }, involvedObject: { namespace: 'shop' } },
    eventType: undefined,
  },
  { method: 'DELETE', path: `${shop}/events/e`, eventType: undefined },
];

describe.skipIf(skipWithoutCluster())('the audit Policy on a real API server', { timeout: 60_000 }, () => {
  const log = join(temporaryFolder(), 'audit.log');
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await startCluster({ apiServerFlags: [`--audit-log-path=${log}`, `--audit-policy-file=${policy}`] });
    await cluster.namespace('shop');
    await cluster.request('POST', `${shop}/serviceaccounts`, { metadata: { name: 'default' } });
  }, 900_000);

  afterAll(() => cluster.stop());

  it('logs what the rules match, and no more', async () => {
    for (const { method, path, body, patch } of deeds) {
      await cluster.request(method, path, body, patch ? { contentType: 'application/merge-patch+json' } : {});
    }
    // Once the last deed is in the log, all of them are.
    await cluster.request('DELETE', `${shop}/services/last`);
    await until('the last deed is logged', () => readFileSync(log, 'utf8').includes('services/last'));
    const text = readFileSync(log, 'utf8');
    const settings = Object.assign({}, parseSettings({}, audit.source.settings, []));
    const events: { requestURI: string; user: { username: string } }[] = text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line))
      .filter(({ user }) => user.username === 'admin');
    const typesOf = (path: string): (string | undefined)[] =>
      events
        .filter(({ requestURI }) => requestURI === path)
        .flatMap((event) => normalizeData(audit.source, event, '2026-03-01T10:00:00Z', settings).findings)
        .map(({ eventType }) => eventType);
    for (const { path, eventType } of deeds) {
      if (eventType !== undefined) expect(typesOf(path), path).toContain(eventType);
    }
    const silent = deeds.filter(({ eventType }) => eventType === undefined).map(({ path }) => path);
    const loud = new Set(deeds.filter(({ eventType }) => eventType !== undefined).map(({ path }) => path));
    for (const path of silent.filter((one) => !loud.has(one))) {
      expect(
        events.filter(({ requestURI }) => requestURI === path),
        path,
      ).toEqual([]);
    }
    for (const line of text.split('\n')) if (line.includes('/secrets')) expect(line).not.toContain('PLANTED-SECRET');
  });
});
