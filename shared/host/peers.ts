import type { Peer, PeerWebhook } from '../function/context.ts';
import type { FunctionDefinition } from '../function/function-definition.ts';
import { type Environment, parseSettings } from '../function/settings.ts';
import { resourcesOf, type WebhookTrigger } from '../function/triggers.ts';

/** Where a function answers in a cluster; local mode uses the same addresses, and resolves them in the process. */
export function functionUrl(name: string, systemNamespace: string): string {
  return `http://${name}.${systemNamespace}.svc.cluster.local`;
}

function isWebhook(trigger: FunctionDefinition['triggers'][number]): trigger is WebhookTrigger<unknown, unknown> {
  return trigger.type === 'Webhook';
}

/** A function as the others see it, its Webhook triggers bound to its own settings. Throws a SettingsError. */
export function peerOf(definition: FunctionDefinition, environment: Environment, ownUsers: readonly string[]): Peer {
  const settings = parseSettings(environment, definition.settings, ownUsers);
  const webhooks: PeerWebhook[] = definition.triggers.filter(isWebhook).map((trigger) => ({
    path: trigger.path,
    eventType: trigger.eventType,
    answer: trigger.answer,
    ...(trigger.list !== undefined && { list: trigger.list }),
    ...(trigger.isServed && { isServed: trigger.isServed }),
    inFlight: trigger.inFlight(settings),
    split: (body) => trigger.split(body, settings),
    wanted: (data) => trigger.wanted(data, settings),
  }));
  return {
    ...{ name: definition.name, url: functionUrl(definition.name, settings.SYSTEM_NAMESPACE), webhooks },
    resources: resourcesOf(definition),
    takesMappedKinds: definition.triggers.some(({ type }) => type === 'MappedKinds'),
  };
}
