import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import ingest from '../../functions/ingest.ts';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import { functionInfoOf } from '../../shared/host/function-info.ts';
import { loadFunctions } from '../../shared/host/function-list.ts';
import { parseObjects } from '../../shared/local/object-files.ts';
import { casesFolder, corpusFiles, corpusMissing } from '../corpus/corpus.ts';
import { createTestContext, eventOf, ping } from '../pipeline/test-context.ts';

const folder = join(import.meta.dirname, '..', '..', 'knative', 'examples');
const peers = (await loadFunctions()).map((definition) => functionInfoOf(definition, {}, []));

function example(file: string): KubernetesObject[] {
  return parseObjects(readFileSync(join(folder, file), 'utf8'), file);
}

/** The Observations that an example makes of objects, or of what is posted to it. */
async function observe(file: string, objects: readonly KubernetesObject[], posted: readonly unknown[] = []) {
  const test = createTestContext(ingest, { context: { functions: peers } });
  const { all } = test.objects;
  all.push(...example(file), ...objects);
  Object.assign(test.context.cluster, {
    watched: ({ kind }: { kind: string }) => all.filter((one) => one.kind === kind),
  });
  await ingest.handle(ping, test.context);
  for (const object of all) {
    if (!['ObservationMapping', 'Ingester'].includes(object.kind)) continue;
    expect(JSON.stringify(object)).toContain('"type":"Accepted","status":"True"');
  }
  for (const data of posted) {
    await ingest.handle({ ...eventOf('io.kube-zen.ingest.v1', data), source: '/ingest/alertmanager' }, test.context);
  }
  const { items } = await test.store.read({ limit: 1000 });
  return items.map(({ spec }) => spec).sort((a, b) => (a.eventType < b.eventType ? -1 : 1));
}

function object(apiVersion: string, kind: string, rest: object): KubernetesObject {
  return { apiVersion, kind, metadata: { name: 'it', namespace: 'shop' }, ...rest } as KubernetesObject;
}

const certificate = (status: string, reason: string) =>
  object('cert-manager.io/v1', 'Certificate', {
    spec: { secretName: 's' },
    status: { conditions: [{ type: 'Ready', status, reason, message: 'm' }] },
  });

describe('the examples', () => {
  it('find Certificates that are not ready', async () => {
    expect(await observe('cert-manager.yaml', [certificate('True', 'Ready')])).toEqual([]);
    expect(await observe('cert-manager.yaml', [certificate('False', 'Expired')])).toMatchObject([
      {
        source: 'cert-manager',
        severity: 'HIGH',
        eventType: 'certificate-not-ready',
        resource: { kind: 'Certificate' },
        details: { reason: 'Expired' },
      },
    ]);
  });

  it('find CertificateRequests that failed', async () => {
    const request = (reason: string) => ({ ...certificate('False', reason), kind: 'CertificateRequest' });
    expect(await observe('cert-manager.yaml', [request('Pending')])).toEqual([]);
    expect(await observe('cert-manager.yaml', [request('Denied')])).toMatchObject([{ severity: 'MEDIUM' }]);
  });

  it('find warnings among Events, one for each reason and object', async () => {
    const event = (type: string, reason: string, name: string) => ({
      ...object('v1', 'Event', {
        type,
        reason,
        message: 'm',
        involvedObject: { kind: 'Pod', namespace: 'shop', name: 'p' },
      }),
      metadata: { name, namespace: 'shop' },
    });
    const events = [
      event('Normal', 'Pulled', 'a'),
      event('Warning', 'BackOff', 'b'),
      event('Warning', 'BackOff', 'c'),
      event('Warning', 'Strange', 'd'),
    ];
    expect(await observe('kubernetes-events.yaml', events)).toMatchObject([
      { severity: 'HIGH', eventType: 'back-off', resource: { kind: 'Pod', name: 'p' } },
      { severity: 'UNKNOWN', eventType: 'strange' },
    ]);
  });

  it.skipIf(corpusMissing)('find nothing in the Events of our own Pods that come and go', async () => {
    const [events] = corpusFiles('cluster').filter(({ file }) => file.endsWith('events-scale-from-zero.json'));
    const { items } = JSON.parse(events?.text ?? '');
    expect(items.filter(({ type }: { type: string }) => type === 'Warning').length).toBeGreaterThan(0);
    expect(await observe('kubernetes-events.yaml', items)).toEqual([]);
  });

  it('find each firing alert, by its fingerprint', async () => {
    const alert = (status: string, fingerprint: string) => ({
      status,
      fingerprint,
      labels: { alertname: 'Disk', severity: 'page' },
      annotations: { summary: 'full' },
    });
    const posted = { alerts: [alert('firing', '1'), alert('firing', '2'), alert('resolved', '3')] };
    const found = await observe('alertmanager.yaml', [], [posted, posted]);
    expect(found).toMatchObject(
      [1, 2].map(() => ({
        severity: 'CRITICAL',
        eventType: 'alert',
        details: { message: 'full' },
        ttlSecondsAfterCreation: 259_200,
      })),
    );
  });

  it('find two alerts that started together and have no fingerprint, as old versions send them', async () => {
    const alert = (alertname: string) => ({
      status: 'firing',
      labels: { alertname, severity: 'page' },
      annotations: { summary: alertname },
      startsAt: '2026-03-01T10:00:00Z',
    });
    const posted = { alerts: [alert('PodCrash'), alert('NodeDown')] };
    const found = await observe('alertmanager.yaml', [], [posted, posted]);
    expect(found.map(({ details }) => details.message).sort()).toEqual(['NodeDown', 'PodCrash']);
  });

  it.skipIf(corpusMissing)('find both alerts of the case G06', async () => {
    const file = join(casesFolder, 'G06-alertmanager-no-fingerprint-same-start', 'a.json');
    const posted: unknown = JSON.parse(readFileSync(file, 'utf8'));
    expect(await observe('alertmanager.yaml', [], [posted, posted])).toHaveLength(2);
  });

  it('find what a tool of your own reports', async () => {
    const job = object('example.com/v1', 'BackupJob', { status: { phase: 'Failed', message: 'no space' } });
    expect(await observe('own-tool.yaml', [job])).toMatchObject([
      { source: 'backup', eventType: 'backup-failed', details: { message: 'no space' } },
    ]);
  });

  it.skipIf(corpusMissing)('find what they should in real payloads', async () => {
    const read = (of: string): KubernetesObject[] =>
      corpusFiles(of).flatMap(({ text, file }) => {
        try {
          return parseObjects(text, file);
        } catch {
          return [];
        }
      });
    const named = (objects: readonly KubernetesObject[]) =>
      objects.map((one, index) => ({
        ...one,
        metadata: {
          ...one.metadata,
          namespace: one.metadata.namespace ?? 'default',
          name: `${one.metadata.name}-${index}`,
        },
      }));
    const certificates = named(read('cert-manager'));
    const fromCertificates = await observe('cert-manager.yaml', certificates);
    const events = named(read('k8s-events'));
    const fromEvents = await observe('kubernetes-events.yaml', events);
    const alerts = corpusFiles('alertmanager').flatMap(({ text }) => {
      try {
        return [JSON.parse(text)];
      } catch {
        return [];
      }
    });
    const fromAlerts = await observe('alertmanager.yaml', [], alerts);
    console.log(
      `cert-manager: ${certificates.length} objects, ${fromCertificates.length} Observations; events: ${events.length}, ${fromEvents.length}; alertmanager: ${alerts.length} payloads, ${fromAlerts.length}`,
    );
    const isNotReady = (one: unknown): boolean =>
      /"status":"(False|Unknown)","type":"Ready"|"type":"Ready","status":"(False|Unknown)"/.test(JSON.stringify(one));
    expect(fromCertificates.length).toBeGreaterThan(0);
    expect(certificates.filter(isNotReady).length).toBeGreaterThanOrEqual(fromCertificates.length);
    expect(fromEvents.every(({ details }) => typeof details.reason === 'string')).toBe(true);
    expect(fromEvents.length).toBeGreaterThan(0);
    expect(fromAlerts.length).toBeGreaterThan(0);
  });
});
