import { readFileSync } from 'node:fs';
import { decodeRequest } from '../shared/function/cloud-event.ts';
import type { Context } from '../shared/function/context.ts';
import { parseSettings } from '../shared/function/settings.ts';
import type { KubernetesObject } from '../shared/function/stores.ts';
import { createApp } from '../shared/host/app.ts';
import { createBodyReader } from '../shared/host/body.ts';
import { createDispatcher } from '../shared/host/dispatch.ts';
import { checkSettings } from '../shared/host/host.ts';
import { isSource, loadFunctions } from '../shared/host/load-functions.ts';
import { createLog } from '../shared/host/log.ts';
import { createMetrics } from '../shared/host/metrics.ts';
import { wants } from '../shared/host/routes.ts';
import { objectSchema } from '../shared/kubernetes/kubernetes-objects.ts';
import { compileFilters } from '../shared/pipeline/filters.ts';

/** A store that forgets, and objects of which there is one. Whoever asks for more than a rehearsal needs gets an error. */
function contextFor(
  settings: Context['settings'],
  object: KubernetesObject | undefined,
): Omit<Context, 'signal' | 'correlationId'> {
  const never = (): never => {
    throw new Error('not in a rehearsal');
  };
  return {
    store: { create: async () => 'created', async *names() {}, async *expired() {}, relabel: never, delete: never },
    objects: { get: async () => object, list: never, apply: never, delete: never, setStatus: never },
    discovery: undefined,
    ...{ watched: () => [], filter: compileFilters([], settings.SYSTEM_NAMESPACE) },
    known: { has: () => false, add: () => undefined },
    ...{ settings, functions: [], admit: never, coalesce: never, isRouted: never, publish: never, deliver: never },
    ...{ now: Date.now, sleep: never },
  };
}

/** Handles sample events (files with CloudEvents) as functions do, so that what they run is compiled before the first start. */
export async function rehearse(files: readonly string[]): Promise<void> {
  const log = createLog('INFO', 'rehearsal', { write: () => undefined });
  const metrics = createMetrics();
  const dispatcher = createDispatcher(log, metrics);
  const { signal } = new AbortController();
  const headers = { 'content-type': 'application/cloudevents+json' };
  for (const definition of (await loadFunctions()).filter(isSource)) {
    checkSettings([definition], {});
    const settings = parseSettings({}, definition.settings, []);
    for (const file of files) {
      const event = decodeRequest({ headers, body: readFileSync(file) }, new Date(0).toISOString());
      if ('length' in event || !wants(definition, event)) continue;
      const object = objectSchema.safeParse(event.data).data;
      await dispatcher.handle({ definition, context: contextFor(settings, object) }, event, signal);
    }
  }
  await metrics.render('');
  createApp({
    ...{ bodies: createBodyReader({ maxBytes: 1, maxBytesInFlight: 1 }), metrics, log, now: Date.now },
    ...{ notReady: () => undefined, isStopping: () => false, webhookPaths: new Set(['/rehearsal/*']) },
    ...{ deliver: async () => undefined, checkAccess: () => undefined, receive: async () => undefined },
  });
}
