import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { announcementType, changes as changeKinds, dueEventType } from '../../shared/api/announcement.ts';
import { createHints } from '../../shared/host/hints.ts';
import { deadline } from '../../shared/host/sleep.ts';
import { createPublisher, createSender } from '../../shared/transport/event-sender.ts';
import { freePort } from '../bench/measure.ts';
import { type Alertmanager, skipWithoutAlertmanager, startAlertmanager } from '../host/alertmanager.ts';
import { type ControlGroup, createControlGroup, memoryMiB } from '../host/container.ts';
import { type Program, until } from '../host/program.ts';
import { createRandom } from '../host/random.ts';
import { allOf, changeOne, createReceiver, namespaces, openOf } from '../pipeline/tellings.ts';
import { applyCrds, type Cluster, skipWithoutCluster, startCluster } from './cluster.ts';
import { connectAs } from './connect.ts';
import { type Fate, startReceiver } from './faulty-receiver.ts';
import { startFunction, startReadyFunction } from './functions.ts';
import { type FaultProxy, faults, postTo, startProxy } from './proxy.ts';
import { pingHeaders } from './report-crds.ts';
import { writerRules } from './rules.ts';
import { startBroker } from './senders.ts';

/** How many changes of state, acceptance or severity there are at least. The whole form is `CHANGES=10000`. */
const changes = Number(process.env.CHANGES ?? 400);
const isWhole = changes >= 10_000;

/** So many change findings at a time, and rest so long after each change. */
const writers = 4;
const restMilliseconds = isWhole ? 20 : 80;

const functionNames = ['announce', 'alertmanager', 'sender'] as const;
type FunctionName = (typeof functionNames)[number];

/** How long an alert lives that nobody posts again: three passes of a minute each. */
const alertMilliseconds = 180_000;

const signal = new AbortController().signal;
const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** The functions that tell, as processes that can be killed. */
async function startTellers(options: {
  readonly server: string;
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
}) {
  const pods = new Map<FunctionName, { readonly port: number; readonly group: ControlGroup | undefined }>();
  const programs = new Map<FunctionName, Program>();
  const podOf = (name: FunctionName) => {
    const { port = 0, group } = pods.get(name) ?? {};
    const environment = { ...options.environment, PORT: String(port) };
    return { ...options, environment, contained: group };
  };
  for (const name of functionNames) {
    pods.set(name, { port: await freePort(), group: createControlGroup(`telling-${name}`, { memoryMiB }) });
    programs.set(name, await startReadyFunction(name, podOf(name)));
  }
  return {
    urlOf: (name: FunctionName): string => programs.get(name)?.url ?? '',

    async kill(name: FunctionName): Promise<void> {
      await programs.get(name)?.kill();
      programs.set(name, await startFunction(name, podOf(name)));
    },

    async stop(): Promise<void> {
      for (const program of programs.values()) await program.stop();
      for (const { group } of pods.values()) group?.remove();
    },
  };
}

describe.skipIf(skipWithoutCluster() || skipWithoutAlertmanager())('telling on a real API server', () => {
  let cluster: Cluster;
  let folder: string;
  let alertmanager: Alertmanager;

  beforeAll(async () => {
    cluster = await startCluster({ durable: true });
    await applyCrds(cluster);
    for (const name of ['zen-system', ...namespaces]) await cluster.namespace(name);
    ({ folder } = await cluster.serviceAccount('functions', writerRules));
    alertmanager = await startAlertmanager();
  }, 900_000);

  afterAll(async () => {
    await alertmanager.kill();
    await cluster.stop();
  });

  it('is at least once, and ends where the findings do, whatever is killed and cut', {
    timeout: isWhole ? 10_800_000 : 3_600_000,
  }, async () => {
    const random = createRandom();
    let isStormy = false;
    const fate = (): Fate => {
      const dice = random.random();
      if (!isStormy || dice > 0.15) return 'taken';
      return random.pick(['refused', 'taken, but the answer is lost', 'lost']);
    };
    const fault = () => (isStormy && random.random() < 0.05 ? random.pick(faults) : undefined);
    const proxy: FaultProxy = await startProxy({ target: cluster.server, certificates: cluster.certificates, fault });

    const receiver = createReceiver();
    const toReceiver = await startReceiver({
      fate,
      async take(body) {
        receiver.take(body);
        return 200;
      },
    });
    const toAlertmanager = await startReceiver({
      fate,
      take: (body) => postTo(`${alertmanager.url}/api/v2/alerts`, { 'content-type': 'application/json' }, body, 5000),
    });
    const letters: string[] = [];
    const deadLetters = await startReceiver({
      fate: () => 'taken',
      async take(body) {
        letters.push(body);
        return 200;
      },
    });

    const subscribers = new Map<string, string | readonly string[]>();
    const brokerOptions = { subscribers, deadLetterSink: deadLetters.url, isCalm: () => !isStormy };
    let broker = await startBroker(brokerOptions);
    const brokerPort = Number(new URL(broker.url).port);
    const tellers = await startTellers({
      server: proxy.server,
      folder,
      environment: {
        ...{ LOG_LEVEL: 'ERROR', API_TIMEOUT_SECONDS: '2', ANNOUNCE_INTERVAL_MINUTES: '1', K_SINK: broker.url },
        ...{ ALERTMANAGER_URL: toAlertmanager.url, SINK_URL: toReceiver.url },
      },
    });
    const { store, close } = connectAs(cluster.server, folder);
    onTestFinished(async () => {
      close();
      await tellers.stop();
      broker.stop();
      for (const one of [toReceiver, toAlertmanager, deadLetters]) await one.close();
      await proxy.stop();
    });
    const sinks = [tellers.urlOf('alertmanager'), tellers.urlOf('sender')];
    for (const kind of changeKinds) subscribers.set(announcementType(kind), sinks);
    subscribers.set(dueEventType, tellers.urlOf('announce'));
    const pass = (name: FunctionName): Promise<number> => postTo(tellers.urlOf(name), pingHeaders, '');
    expect(await pass('announce')).toBe(204);

    // As a source gives them, whose process may end before a hint arrives.
    const sender = createSender();
    const publish = createPublisher(sender, () => ({
      ...{ url: broker.url, caCerts: undefined, tokenFile: undefined, extensions: {} },
    }));
    const hints = createHints({
      broker: { publish },
      clock: { now: Date.now, deadline },
      systemNamespace: 'zen-system',
      stopping: signal,
    });

    let made = 0;
    let rounds = 0;
    const isOver = (): boolean => made >= changes && rounds > 0;

    async function write(): Promise<void> {
      while (!isOver()) {
        // A source that gets no answer is called again by the Broker, or by its pass.
        const isChange = await changeOne(random, { store, now: Date.now(), deletes: true }).catch(() => undefined);
        if (isChange) {
          made += 1;
          hints.hint();
        }
        await pause(random.below(2 * restMilliseconds));
      }
    }

    const away = async (longest: number): Promise<void> => pause(random.below(longest));
    const misfortunes: Readonly<Record<string, () => Promise<void>>> = {
      announce: () => tellers.kill('announce'),
      alertmanager: () => tellers.kill('alertmanager'),
      sender: () => tellers.kill('sender'),
      async 'API server killed'() {
        await cluster.kill();
        await away(1000);
        await cluster.restart();
      },
      async 'API server cut off'() {
        await proxy.close();
        await away(1500);
        await proxy.open();
      },
      async Broker() {
        await broker.kill();
        await away(1000);
        broker = await startBroker({ ...brokerOptions, port: brokerPort });
      },
      async 'Alertmanager killed'() {
        await alertmanager.kill();
        await away(1000);
        await alertmanager.restart();
      },
      async 'Alertmanager cut off'() {
        await toAlertmanager.close();
        await away(1500);
        await toAlertmanager.open();
      },
      async receiver() {
        await toReceiver.close();
        await away(1500);
        await toReceiver.open();
      },
    };

    async function befall(): Promise<void> {
      while (!isOver()) {
        for (const happen of random.shuffle(Object.values(misfortunes))) {
          await pause(200 + random.below(600));
          if (isOver()) return;
          await happen();
        }
        rounds += 1;
        if (isWhole) console.log(`telling: ${made} changes after ${rounds} rounds of misfortunes`);
      }
    }

    async function schedule(): Promise<void> {
      while (!isOver()) {
        await pause(2000);
        await Promise.all([pass('announce'), pass('alertmanager')]);
      }
    }

    const began = performance.now();
    isStormy = true;
    await Promise.all([...Array.from({ length: writers }, write), befall(), schedule()]);
    isStormy = false;
    const calm = performance.now();
    await hints.finish();
    const dueNames = async () => Array.fromAsync(store.names({ isDue: true }, signal));
    const owed = (await dueNames()).length;
    const tellAll = () =>
      until('all is told', async () => {
        await pass('announce');
        return (await dueNames()).length === 0;
      });
    await tellAll();
    const settled = performance.now();

    /** Alerts of what is not open, such as what was deleted, of which nobody has told Alertmanager. */
    const leftovers = async () => {
      const keys = new Set(openOf(await allOf(store), Date.now()));
      return [...(await alertmanager.active())].filter(([key]) => !keys.has(key));
    };
    // In calm weather, what is over is closed at once, whatever the storm has left.
    const before = new Set((await leftovers()).map(([key]) => key));
    for (let more = 0; more < 150; ) {
      if (await changeOne(random, { store, now: Date.now(), deletes: false })) more += 1;
    }
    await tellAll();
    await until('what is over is no alert', async () => (await leftovers()).every(([key]) => before.has(key)));

    const all = await allOf(store);
    const passed = Date.now();
    expect(await pass('alertmanager')).toBe(204);
    const open = openOf(all, Date.now());
    const notActive = async (): Promise<string[]> => {
      const active = await alertmanager.active();
      return open.filter((key) => !active.has(key));
    };
    await until('what is open is an alert', async () => (await notActive()).length === 0);
    const left = await leftovers();
    const renewed = left.filter(([, { endsAt }]) => Date.parse(endsAt) > passed + alertMilliseconds);

    // Whoever lists asks for what it needs, by labels. (How many there are can only be asked without.)
    const unselected = proxy.calls.filter(
      (call) => /^GET .*observations\?/.test(call) && !/labelSelector=|limit=1(&|$)/.test(call),
    );
    const calls = (pattern: RegExp): number => proxy.calls.filter((call) => pattern.test(call)).length;
    const injected = [...proxy.injected.values()].reduce((sum, one) => sum + one, 0);
    const seconds = (from: number, to: number): string => `${((to - from) / 1000).toFixed(1)} s`;
    console.log(
      [
        `telling: seed ${random.seed}, ${made} changes in ${seconds(began, calm)}, ${rounds} rounds of ${Object.keys(misfortunes).length} misfortunes, ${injected} faults of calls`,
        `${owed} were due then, told ${seconds(calm, settled)} later; ${all.length} are stored, ${open.length} are alerts, ${left.length} more end by themselves`,
        `${receiver.received()} received with ${receiver.byId.size} ids; receiver ${JSON.stringify([...toReceiver.statuses])}, Alertmanager ${JSON.stringify([...toAlertmanager.statuses])}`,
        `calls: ${calls(/^GET .*observations\/[^?]+/)} reads, ${calls(/^GET .*observations\?/)} lists, ${calls(/^PATCH .*observations\//)} patches`,
      ].join('\n'),
    );
    expect({
      untold: receiver.untold(all),
      ambiguous: receiver.ambiguous,
      twice: receiver.twice,
      letters,
      renewed: renewed.map(([key]) => key),
      unselected,
    }).toEqual({ untold: [], ambiguous: [], twice: [], letters: [], renewed: [], unselected: [] });
    expect(made).toBeGreaterThanOrEqual(changes);
    expect(open.length).toBeGreaterThan(10);

    while (isWhole && (await leftovers()).length > 0 && Date.now() < passed + 2 * alertMilliseconds) {
      await pause(10_000);
      await pass('alertmanager');
    }
    if (isWhole) expect([...(await alertmanager.active()).keys()].sort()).toEqual(open);
  });
});
