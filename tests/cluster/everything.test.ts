import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import audit from '../../functions/audit.ts';
import falco from '../../functions/falco.ts';
import { isAccepted } from '../../shared/api/acceptance.ts';
import { isOpen } from '../../shared/api/announcement.ts';
import { labels, toldAnnotation } from '../../shared/api/labels.ts';
import type { Observation } from '../../shared/api/observation.ts';
import { isSameTold } from '../../shared/api/told.ts';
import { isBelow } from '../../shared/finding/severity.ts';
import { defaultFloor } from '../../shared/function/definitions.ts';
import { forEachConcurrently } from '../../shared/pipeline/concurrency.ts';
import { skipWithoutAlertmanager } from '../host/alertmanager.ts';
import { planted, until } from '../host/program.ts';
import { createRandom } from '../host/random.ts';
import { alertKeyOf, allOf } from '../pipeline/tellings.ts';
import { skipWithoutCluster } from './cluster.ts';
import { connectAs } from './connect.ts';
import { newCrd, useCrd } from './crd-in-use.ts';
import { createRules } from './everything-rules.ts';
import { createSensors, startOldDoor } from './everything-sensors.ts';
import { createTools, stateFunctions } from './everything-tools.ts';
import { createViewer } from './everything-viewer.ts';
import { createWorld, installCluster, type Weather } from './everything-world.ts';
import { postTo } from './proxy.ts';
import { pingHeaders } from './report-crds.ts';
import { keyOf, toolReports } from './upgrade-world.ts';
import { oldCrd, oldPass } from './version-0.1.0.ts';

/** How long the storm lasts, in seconds, the outage and what takes its own time not counted. The whole form is `EVERYTHING=300`. */
const seconds = Number(process.env.EVERYTHING ?? 24);
const kills = Math.max(20, Math.round(seconds / 5));
const outageSeconds = 30;

const reports = toolReports({ trivy: 2, kyverno: 3, vulnerabilities: 12, checks: 30 });
const oldSources = ['trivy', 'kyverno', 'checkov'];
const passing = [...stateFunctions, 'filters', 'exceptions', 'gc', 'announce', 'alertmanager'];

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Only version 0.1.0 writes it. */
const oldSinceLabel = 'zen.kube-zen.io/state-since';

const placeOf = ({ metadata }: Observation): string => `${metadata.namespace}/${metadata.name}`;
const stateOf = ({ metadata }: Observation): string | undefined => metadata.labels[labels.state];
const isTold = ({ metadata }: Observation): boolean => metadata.annotations[toldAnnotation] !== undefined;

/** What occurs more than once. */
function repeated(all: readonly string[]): string[] {
  return [...new Set(all.filter((one, index) => all.indexOf(one) !== index))];
}

const floors = new Map([falco, audit].map(({ name, source }) => [name, source.announcedFrom]));

function isAtFloor({ spec }: Observation): boolean {
  return !isBelow(spec.severity, floors.get(spec.source) ?? defaultFloor);
}

let installed: Awaited<ReturnType<typeof installCluster>>;

async function createStorm() {
  const { cluster, tokens, viewer: account } = installed;
  const random = createRandom();
  const weather: Weather = { isStormy: false };
  const world = await createWorld(installed, { weather, random });
  const { fleet } = world;
  let isEnding = false;
  const isOver = (): boolean => isEnding;
  const writerOf = (source: string) => ({ cluster, token: tokens.get(source) ?? '' });
  const oldDoor = await startOldDoor(writerOf);
  const common = { cluster, random, urlOf: fleet.urlOf, isOver };
  return {
    ...{ world, weather, random, writerOf, oldDoor },
    sensors: createSensors({ url: fleet.urlOf('webhook'), random, isOver, restMilliseconds: 400 }),
    tools: createTools({ ...common, restMilliseconds: 1500 }),
    rules: createRules({ ...common, restMilliseconds: 1500 }),
    viewer: createViewer({ url: fleet.urlOf('page'), token: account.token, random, isOver }),
    isOver,
    end(): void {
      isEnding = true;
    },
  };
}

type Storm = Awaited<ReturnType<typeof createStorm>>;

const ping = ({ world }: Storm, name: string): Promise<number> => postTo(world.fleet.urlOf(name), pingHeaders, '');

/** As PingSources do, only sooner. */
async function schedule(storm: Storm): Promise<void> {
  while (!storm.isOver()) {
    await pause(storm.random.below(2000));
    void ping(storm, passing[storm.random.below(passing.length)] ?? '');
  }
}

/** What version 0.1.0 has stored of what its tools reported. */
async function oldPasses({ writerOf }: Storm): Promise<void> {
  for (const source of oldSources) {
    const findings = reports.filter((report) => report.source === source).flatMap(({ old }) => old);
    await oldPass(source, findings, writerOf(source));
  }
}

/** The new CRD and then the new functions, while tools and people go on. What sensors send is taken as soon as `webhook` is there. */
async function upgrade({ world, sensors, weather }: Storm): Promise<void> {
  const { fleet } = world;
  weather.isStormy = false;
  await sensors.hold();
  await useCrd(installed.cluster, newCrd);
  await fleet.replace('webhook');
  sensors.goOn('new');
  await forEachConcurrently(
    fleet.names.filter((name) => name !== 'webhook'),
    2,
    fleet.replace,
  );
  weather.isStormy = true;
}

/** Back to version 0.1.0: its CRD while our functions still run, and then its writers in their place, for a while. */
async function rollBack(storm: Storm): Promise<void> {
  const { world, sensors, weather, oldDoor } = storm;
  weather.isStormy = false;
  await sensors.hold();
  await useCrd(installed.cluster, oldCrd);
  await forEachConcurrently(world.fleet.names, 2, (name) =>
    world.fleet.stop(name, name === 'webhook' ? oldDoor.url : undefined),
  );
  sensors.goOn('old');
  await oldPasses(storm);
  await pause(seconds * 100);
  await oldPasses(storm);
}

/** Kills functions, and now and then cuts the way to the API server. */
async function misfortunes({ world, random }: Storm, count: number, lasting: number): Promise<void> {
  for (let done = 0; done < count; done += 1) {
    await pause((random.random() + 0.5) * (lasting / count));
    await world.fleet.kill(world.fleet.names[random.below(world.fleet.names.length)] ?? '');
    if (random.below(4) > 0) continue;
    await world.proxy.close();
    await pause(random.below(1000));
    await world.proxy.open();
  }
}

/** The API server and its etcd are killed, and both are away. */
async function outage(): Promise<void> {
  await installed.cluster.kill();
  await pause(outageSeconds * 1000);
  await installed.cluster.restart();
}

/** Functions get new revisions, in the short form some of them, and the Broker is killed meanwhile. */
async function replaceSome({ world, random }: Storm): Promise<void> {
  const names = random.shuffle(world.fleet.names).slice(0, seconds < 60 ? 6 : undefined);
  const rollout = forEachConcurrently(names, 2, world.fleet.replace);
  await world.broker.kill();
  await pause(1000);
  await world.broker.restart();
  await rollout;
}

/** What happens, in turn. Resolves to how long each took. */
async function befall(storm: Storm): Promise<string> {
  const third = Math.floor(kills / 3);
  const steps: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['upgrade', () => upgrade(storm)],
    ['kills', () => misfortunes(storm, third, seconds * 400)],
    ['API server away', () => Promise.all([outage(), misfortunes(storm, 4, outageSeconds * 1000)])],
    ['rollback', () => rollBack(storm)],
    ['upgrade again', () => upgrade(storm)],
    ['new revisions, Broker killed', () => replaceSome(storm)],
    ['kills', () => misfortunes(storm, kills - third - 4, seconds * 500)],
  ];
  const took: string[] = [];
  for (const [name, happen] of steps) {
    const began = performance.now();
    await happen();
    took.push(`${name} ${((performance.now() - began) / 1000).toFixed(0)} s`);
  }
  return took.join(', ');
}

/** Delivers what is on its way, and has everything looked at once more. */
async function calmDown(storm: Storm): Promise<void> {
  const passes = (name: string): Promise<void> =>
    until(`${name} passes`, async () => (await ping(storm, name)) === 204, 180);
  await until('no exception ends soon', () => !storm.rules.isSomeEnding());
  for (const name of ['filters', ...stateFunctions, 'exceptions', 'gc']) await passes(name);
  const { store, close } = connectAs(installed.cluster.server, installed.viewer.folder);
  const due = () => Array.fromAsync(store.names({ isDue: true }, AbortSignal.timeout(30_000)));
  await until(
    'all is told',
    async () => {
      await ping(storm, 'announce');
      return (await due()).length === 0;
    },
    300,
  );
  close();
  await passes('alertmanager');
}

/** Everything that is stored, and what of it is open. */
async function readAll() {
  const { store, close } = connectAs(installed.cluster.server, installed.viewer.folder);
  const all = await allOf(store);
  close();
  return all;
}

/** What is stored in another way than it was reported. */
function faultsOf(all: readonly Observation[], { sensors, tools, rules }: Storm, now: number) {
  const { required, allowed, old } = sensors.expected;
  const stored = new Set(all.map(placeOf));
  const states = all.filter((one) => stateOf(one) !== undefined);
  const open = new Map(states.filter((one) => stateOf(one) === 'open').map((one) => [placeOf(one), one.spec.severity]));
  const reported = tools.reported(rules.filter);
  const events = all.filter((one) => stateOf(one) === undefined);
  const openOnes = all.filter((one) => (stateOf(one) ?? 'open') === 'open');
  return {
    'events lost': [...required.union(old).difference(stored)],
    'events that nobody sent': events.map(placeOf).filter((one) => !allowed.has(one) && !old.has(one)),
    'reported, and not open': [...reported].filter(([place, severity]) => open.get(place) !== severity),
    'open, and not reported': [...open.keys()].filter((place) => !reported.has(place)),
    'names in two namespaces': repeated(all.map(({ metadata }) => metadata.name)),
    'twice open': repeated(openOnes.map(({ spec }) => keyOf(JSON.stringify(spec))).filter((key) => key !== undefined)),
    'wrongly accepted, or not accepted': openOnes
      .filter((one) => isAccepted(one.metadata.labels, now) !== rules.accepts(one, now))
      .map(placeOf),
    'secrets stored': all.filter((one) => JSON.stringify(one).includes(planted)).map(placeOf),
  };
}

/** What receivers were told, and what of it is wrong. */
function untruthsOf(all: readonly Observation[], { world, sensors }: Storm) {
  const { receiver } = world.receivers;
  // What was there before announcing was, nobody is told of, unless it changes.
  const told = all.filter((one) => isTold(one) || !sensors.expected.old.has(placeOf(one)));
  // Version 0.1.0 calls an open finding missing and leaves `since`: what had just been told then has that id twice.
  const calledMissing = new Set(all.filter(({ metadata }) => oldSinceLabel in metadata.labels).map(placeOf));
  const ambiguous = receiver.ambiguous.filter(({ id, first, second }) => {
    const isByOld = first.state === 'open' && isSameTold(second, { ...first, state: 'missing' });
    return !(isByOld && calledMissing.has(id.slice(0, id.lastIndexOf('/'))));
  });
  return {
    untold: receiver.untold(told),
    'ids of two changes': ambiguous,
    'changes with two ids': receiver.twice,
  };
}

/** The first few of each. */
function firstOf(lists: Readonly<Record<string, readonly unknown[]>>): Record<string, readonly unknown[]> {
  const short = (list: readonly unknown[]) => (list.length > 8 ? [...list.slice(0, 8), `${list.length} in all`] : list);
  return Object.fromEntries(Object.entries(lists).map(([name, list]) => [name, short(list)]));
}

/**
 * Which alerts there must be: the sink's pass posts what is open, also of what nobody announced, as it was there before. But
 * what has no state is over an hour after it happened, or was told.
 */
function alertsOf(all: readonly Observation[], now: number): string[] {
  const isFiring = (one: Observation): boolean =>
    isOpen(one, now) && isAtFloor(one) && (stateOf(one) !== undefined || isTold(one));
  return all.filter(isFiring).map(alertKeyOf).sort();
}

async function activeAlerts({ world: { receivers } }: Storm): Promise<string[]> {
  return [...(await receivers.alertmanager.active()).keys()].sort();
}

/**
 * Passes of the sink go on, as a PingSource has them, until what nobody said is over (deleted, or left by version 0.1.0) has
 * ended by itself: three passes of a minute.
 */
async function alertsEnd(storm: Storm, alerts: readonly string[]): Promise<void> {
  let passed = performance.now();
  const isSo = async (): Promise<boolean> => {
    if (performance.now() - passed > 30_000) {
      await ping(storm, 'alertmanager');
      passed = performance.now();
    }
    return String(await activeAlerts(storm)) === String(alerts);
  };
  await until('the alerts are what is open', isSo, 300).catch(() => undefined);
}

function countBy<Item>(items: readonly Item[], keyOfItem: (item: Item) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const item of items) counts[keyOfItem(item)] = (counts[keyOfItem(item)] ?? 0) + 1;
  return counts;
}

function figures({ world, sensors, tools, rules, viewer, random }: Storm, all: readonly Observation[], alerts: number) {
  const { receiver } = world.receivers;
  const injected = [...world.proxy.injected].map(([name, count]) => `${name} ${count}`).join(', ');
  const rows: readonly (readonly [string, unknown])[] = [
    ['seed', random.seed],
    ['kills, revisions', `${world.fleet.counts.kills}, ${world.fleet.counts.revisions}`],
    ['faults of calls', injected],
    ['events', JSON.stringify(sensors.counts)],
    ['reports', JSON.stringify(tools.counts)],
    ['filters and exceptions', JSON.stringify(rules.counts)],
    ['Observations', `${all.length} ${JSON.stringify(countBy(all, (one) => stateOf(one) ?? 'event'))}`],
    ['by source', JSON.stringify(countBy(all, ({ spec }) => spec.source))],
    ['accepted', all.filter(({ metadata }) => isAccepted(metadata.labels, Date.now())).length],
    ['announcements', `${receiver.received()} received, ${receiver.byId.size} ids`],
    ['posts to Alertmanager', JSON.stringify([...world.receivers.toAlertmanager.statuses])],
    ['alerts', alerts],
    ['page', JSON.stringify(viewer.counts)],
  ];
  return ['| what | how many |', '|---|---|', ...rows.map(([name, value]) => `| ${name} | ${value} |`)].join('\n');
}

// Not yet in every run: few seeds have been tried, and it takes five minutes.
const isAsked = process.env.EVERYTHING !== undefined;

describe.skipIf(!isAsked || skipWithoutCluster() || skipWithoutAlertmanager())(
  'everything together, on a real API server',
  () => {
    beforeAll(async () => {
      installed = await installCluster();
    }, 900_000);

    afterAll(() => installed?.cluster.stop());

    it('loses nothing, doubles nothing, and ends where tools, filters and exceptions do', {
      timeout: 600_000 + seconds * 5000,
    }, async () => {
      const storm = await createStorm();
      const { world, sensors, tools, rules, viewer, oldDoor } = storm;
      onTestFinished(async () => {
        viewer.leave();
        oldDoor.stop();
        await world.stop();
      });
      await useCrd(installed.cluster, oldCrd);
      await tools.begin(reports);
      await rules.begin();
      await oldPasses(storm);
      await world.fleet.stop('webhook', oldDoor.url);
      sensors.goOn('old');

      const following = viewer.follow();
      const happening = befall(storm).finally(() => {
        storm.weather.isStormy = false;
        storm.end();
      });
      const [steps] = await Promise.all([
        happening,
        ...[sensors.run(), tools.run(), rules.run(), viewer.look(), schedule(storm)],
      ]);
      const calm = performance.now();
      await calmDown(storm);

      const all = await readAll();
      const now = Date.now();
      const alerts = alertsOf(all, now);
      await alertsEnd(storm, alerts);
      const active = await activeAlerts(storm);
      const calming = `calm after ${((performance.now() - calm) / 1000).toFixed(0)} s`;
      console.log(`${steps}, ${calming}\n${figures(storm, all, active.length)}`);
      const wrong = { ...faultsOf(all, storm, now), ...untruthsOf(all, storm) };
      expect(firstOf(wrong)).toEqual(Object.fromEntries(Object.keys(wrong).map((name) => [name, []])));
      expect(active).toEqual(alerts);
      expect(world.fleet.counts.kills).toBeGreaterThanOrEqual(kills);

      const open = all.filter((one) => isOpen(one, now));
      const right = {
        total: open.length,
        bySource: countBy(open, ({ spec }) => spec.source),
        bySeverity: {
          CRITICAL: 0,
          HIGH: 0,
          MEDIUM: 0,
          LOW: 0,
          UNKNOWN: 0,
          ...countBy(open, ({ spec }) => spec.severity),
        },
        isComplete: true,
      };
      await until('the page has read everything', async () => (await viewer.shown()).isComplete);
      expect(await viewer.shown()).toEqual(right);
      viewer.leave();
      await following;
    });
  },
);
