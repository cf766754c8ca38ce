import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { createBodyReader } from '../../shared/edge/body.ts';
import { createBudget } from '../../shared/edge/budget.ts';
import { decodeRequest } from '../../shared/edge/cloud-event-http.ts';
import { createInflate } from '../../shared/edge/inflate.ts';
import { parseSettings } from '../../shared/function/settings.ts';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import { createApp } from '../../shared/host/app.ts';
import { createClock } from '../../shared/host/clock.ts';
import { bindFunctions, isHandler, type Ports } from '../../shared/host/context.ts';
import { countingOf } from '../../shared/host/counting.ts';
import { createDispatcher } from '../../shared/host/dispatch.ts';
import { wants } from '../../shared/host/event-routing.ts';
import { isSource, loadFunctions } from '../../shared/host/function-list.ts';
import { checkSettings } from '../../shared/host/host.ts';
import { createLog } from '../../shared/host/log.ts';
import { createMetrics, type Metrics } from '../../shared/host/metrics.ts';
import { warnOfUnknownSettings } from '../../shared/host/unknown-settings.ts';
import { objectSchema } from '../../shared/kubernetes/kubernetes-objects.ts';

const never = (): never => {
  throw new Error('not in a rehearsal');
};

/** A store that forgets everything, and a cluster of one object. What a rehearsal doesn't need throws an error. */
function portsFor(object: KubernetesObject | undefined, metrics: Metrics): Ports {
  return {
    environment: {},
    settings: parseSettings({}, z.object({}), []),
    ownUsers: [],
    store: {
      create: async () => 'created',
      async *names() {},
      async *stripped() {},
      async *observations() {},
      count: async () => 0,
      async *events() {},
      async *expired() {},
      endOf: never,
      find: async () => undefined,
      findWhole: async () => undefined,
      patch: never,
      delete: never,
      addSeries: never,
    },
    cluster: {
      objects: {
        get: async () => object,
        list: never,
        async *listMetadata() {
          if (object) yield object;
        },
        apply: never,
        delete: never,
        setStatus: never,
      },
      owners: { controllerOf: async () => undefined },
      kinds: undefined,
      watched: () => [],
      hasApiServerSources: false,
    },
    broker: { publish: never, sendTo: never, isRouted: never },
    outside: { post: never },
    clock: createClock({ now: Date.now, elapsed: Date.now, sleep: never, onOffset: () => undefined }),
    functions: [],
    metrics,
    stopping: new AbortController().signal,
  };
}

/**
 * Handles sample events (files with CloudEvents) as a function would, so that the code is compiled before the first
 * start.
 */
export async function rehearse(files: readonly string[]): Promise<void> {
  const log = createLog('INFO', 'rehearsal', { write: () => undefined });
  const metrics = createMetrics();
  const dispatcher = createDispatcher(log, metrics);
  const { signal } = new AbortController();
  const headers = { 'content-type': 'application/cloudevents+json' };
  const sources = (await loadFunctions()).filter(isSource);
  for (const file of files) {
    // Read as text, because reading bytes leaves what the file system says of the file in the snapshot.
    const body = Buffer.from(readFileSync(file, 'utf8'));
    const event = decodeRequest({ headers, body }, new Date(0).toISOString());
    if ('length' in event) continue;
    const object = objectSchema.safeParse(event.data).data;
    const own = createMetrics();
    const bound = bindFunctions(sources, portsFor(object, own)).functions.filter(isHandler);
    for (const handler of bound) own.begin(countingOf(handler));
    for (const handler of bound) if (wants(handler, event)) await dispatcher.handle(handler, event, signal);
  }
  await metrics.render('');
  checkSettings(sources, {});
  warnOfUnknownSettings({ environment: { HOME: '/' }, definitions: sources, log });
  createApp({
    takesEvents: true,
    createBodies: () =>
      createBodyReader({ maxBytes: 1, maxBytesInFlight: 1, inflate: createInflate(), parsed: createBudget(1) }),
    metrics,
    log,
    now: Date.now,
    notReady: () => undefined,
    isStopping: () => false,
    webhookPaths: new Set(['/rehearsal/*']),
    deliver: async () => undefined,
    checkAccess: () => undefined,
    receive: async () => undefined,
  });
}
