import { once } from 'node:events';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import audit from '../../functions/audit.ts';
import falco from '../../functions/falco.ts';
import { planted, until } from '../host/program.ts';
import type { createRandom } from '../host/random.ts';
import { pause } from './everything-tools.ts';
import { expectedOf, mappedOf, placeOf } from './expected-names.ts';
import { postTo } from './proxy.ts';
import { alert, auditEvent, keyOf, type SensorEvent } from './upgrade-world.ts';
import { oldObservation, oldWrite, type Writer } from './version-0.1.0.ts';

/** What makes an Observation of each post. */
export const ownIngester = {
  ...{ apiVersion: 'zen.kube-zen.io/v1alpha1', kind: 'Ingester' },
  metadata: { name: 'posted', namespace: 'zen-system' },
  spec: {
    ...{ source: 'posted', ingester: 'webhook', webhook: { path: 'posted' }, identity: ['.rule'] },
    mappings: { severity: 'HIGH', category: 'operational', eventType: 'own', message: '.rule' },
  },
};

const json = { 'content-type': 'application/json' };

function numberOf(key: string | undefined): number {
  return Number(key?.slice(-5));
}

/** What a filter that lasts drops, whichever version reads it. */
const isNoise = (key: string | undefined): boolean => numberOf(key) % 10 === 9;

/** What a filter drops that comes and goes. */
const isDroppedAtTimes = (key: string): boolean => key.startsWith('alert-') && numberOf(key) % 10 === 8;

/** An alert whose text has what no log, and no Observation, may show. */
function alertOf(number: number): SensorEvent {
  const { data, ...rest } = alert(number);
  return { ...rest, data: Object.assign({}, data, { output: `a shell (alert-${number}) --password=${planted}` }) };
}

/** The door of version 0.1.0: it answers once what it was sent is stored, under the names of that version. */
export async function startOldDoor(writerOf: (source: string) => Writer) {
  const readers = { falco: alert, audit: auditEvent };
  const server = createServer(async (incoming, outgoing) => {
    const body = await text(incoming);
    const source = incoming.url?.startsWith('/audit') ? 'audit' : 'falco';
    const keys = [...new Set(body.match(/(?:alert|role)-\d{5}/g))].filter((key) => !isNoise(key));
    const old = keys.map((key) => readers[source](numberOf(key)).old);
    const status = await oldWrite(old, writerOf(source)).then(
      () => 204,
      () => 503,
    );
    // No connection leads here once the other version is there.
    outgoing.writeHead(status, { connection: 'close' }).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`,
    stop(): void {
      server.close();
      server.closeAllConnections();
    },
  };
}

interface SensorsOptions {
  readonly url: string;
  readonly random: ReturnType<typeof createRandom>;
  readonly isOver: () => boolean;
  /** So long each sensor rests after each event, on average. */
  readonly restMilliseconds: number;
}

type Version = 'old' | 'new';

const batchLength = 5;
const falcoSenders = 4;
const auditSenders = 2;

/** Falco, an API server's audit webhook, and a tool that posts to an Ingester's path. They know what was acknowledged. */
export function createSensors({ url, random, isOver, restMilliseconds }: SensorsOptions) {
  /** Where Observations of events must be, and may be; of version 0.1.0: these, and no others. */
  const expected = { required: new Set<string>(), allowed: new Set<string>(), old: new Set<string>() };
  const counts = { sent: 0, acknowledged: 0, unanswered: 0, byOld: 0 };
  let version: Version = 'old';
  let next = 10_000;
  let inFlight = 0;
  let release = Promise.withResolvers<void>();
  release.resolve();
  let isHeld = false;

  /** Nothing is sent while all is held. */
  async function sending(send: () => Promise<void>): Promise<void> {
    while (isHeld) await release.promise;
    inFlight += 1;
    await send();
    inFlight -= 1;
    await pause(random.below(2 * restMilliseconds));
  }

  function note(places: readonly string[], isRequired: boolean): void {
    for (const place of places) {
      expected.allowed.add(place);
      if (isRequired) expected.required.add(place);
    }
  }

  const namesOf = ({ source, data }: SensorEvent): string[] => expectedOf(source === 'falco' ? falco : audit, data);

  function settle(event: SensorEvent, isAcknowledged: boolean): void {
    const key = keyOf(JSON.stringify(event.data)) ?? '';
    counts[isAcknowledged ? 'acknowledged' : 'unanswered'] += 1;
    if (isNoise(key) && event.source === 'falco') return;
    if (version === 'new') return note(namesOf(event), isAcknowledged && !isDroppedAtTimes(key));
    if (!isAcknowledged || isNoise(key)) return;
    counts.byOld += 1;
    const { namespace, name } = oldObservation(event.old, 0).metadata;
    expected.old.add(`${namespace}/${name}`);
  }

  /** Falco sends once, whatever comes of it. */
  async function sendAlert(): Promise<void> {
    const event = alertOf(next++);
    counts.sent += 1;
    settle(event, (await postTo(`${url}/falco/webhook`, json, JSON.stringify(event.data), 600_000)) === 204);
  }

  async function insist(path: string, body: string): Promise<void> {
    while ((await postTo(`${url}${path}`, json, body, 30_000)) !== 204) await pause(200);
  }

  /** The API server sends a batch again until it is taken; some are sent once more all the same. */
  async function sendBatch(): Promise<void> {
    const events = Array.from({ length: batchLength }, () => auditEvent(next++));
    const items = events.map(({ data }) => data);
    const body = JSON.stringify({ kind: 'EventList', apiVersion: 'audit.k8s.io/v1', metadata: {}, items });
    counts.sent += events.length;
    await insist('/audit/webhook', body);
    for (const event of events) settle(event, true);
    if (version === 'new' && random.below(3) === 0) await postTo(`${url}/audit/webhook`, json, body, 30_000);
  }

  /** Version 0.1.0 knows no such path. */
  async function sendPost(): Promise<void> {
    if (version === 'old') return;
    const post = { rule: `posted-${next++}`, password: planted };
    counts.sent += 1;
    await insist('/ingest/posted', JSON.stringify(post));
    counts.acknowledged += 1;
    note(mappedOf(ownIngester, post).map(placeOf), true);
  }

  async function go(send: () => Promise<void>): Promise<void> {
    while (!isOver()) await sending(send);
  }

  return {
    counts,
    expected,

    run: () =>
      Promise.all([
        ...Array.from({ length: falcoSenders }, () => go(sendAlert)),
        ...Array.from({ length: auditSenders }, () => go(sendBatch)),
        go(sendPost),
      ]),

    /** Resolves when everything that was sent has been answered. Until `goOn` nothing more is sent. */
    async hold(): Promise<void> {
      isHeld = true;
      release = Promise.withResolvers();
      await until('everything is answered', () => inFlight === 0, 180);
    },

    /** Which version takes from now on what is sent. */
    goOn(taker: Version): void {
      version = taker;
      isHeld = false;
      release.resolve();
    },
  };
}
