import type { KindSelector } from '../api/kind-selector.ts';
import { guessedPlural } from '../api/knative-kinds.ts';
import type { CommonSettings } from '../function/settings.ts';
import type { Discovery, Objects, ServedKind } from '../function/stores.ts';
import type { BoundHandler } from '../host/context.ts';
import type { AcceptedMapping } from '../rules/accepted-mappings.ts';

/** Objects whose changes wake a function: by their kind or its plural, at least one of which is known. */
export interface WantedKind extends Pick<KindSelector, 'group' | 'versions' | 'labels' | 'namespace'> {
  readonly handler: BoundHandler;
  readonly kind: string | undefined;
  readonly plural: string | undefined;
  /** Whether only tenants want it, who see nothing that has no namespace. */
  readonly isTenants: boolean;
}

/** What the functions' triggers ask for, and what mappings and Ingesters name. */
export function wantedKinds(
  handlers: readonly BoundHandler[],
  mappings: readonly AcceptedMapping[],
  { WATCH_NAMESPACE: namespace }: CommonSettings,
): WantedKind[] {
  return handlers.flatMap((handler) =>
    handler.triggers.flatMap((trigger): WantedKind[] => {
      if (trigger.type === 'ApiServerSource') {
        return trigger.kinds.map((kind) => ({ ...kind, handler, isTenants: false }));
      }
      if (trigger.type !== 'MappedKinds') return [];
      return mappings.flatMap(({ kind: mapped, tenant }) => {
        if (!mapped) return [];
        const { group, version, kind, plural } = mapped;
        const place = namespace === undefined ? {} : { namespace };
        return [{ handler, group, versions: [version], kind, plural, ...place, isTenants: tenant !== undefined }];
      });
    }),
  );
}

/** A kind as it is served; or that it is gone, or that this is unknown at the moment. */
export type Presence = KindSelector | 'gone' | 'unknown';

const definitions: KindSelector = {
  group: 'apiextensions.k8s.io',
  versions: ['v1'],
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
};

export interface LookUpOptions {
  readonly discovery: Discovery;
  readonly objects: Pick<Objects, 'get'>;
  readonly settings: CommonSettings;
  readonly signal: AbortSignal;
}

/** Asks the API server what it serves, each group once. Throws a Refusal. */
export async function createPresence(options: LookUpOptions): Promise<(wanted: WantedKind) => Promise<Presence>> {
  const { discovery, objects, settings, signal } = options;
  const { WATCH_NAMESPACE: watchNamespace } = settings;
  const groups = await discovery.groups(signal);
  const answers = new Map<string, ReturnType<Discovery['kinds']>>();

  function kindsIn(group: string, version: string): ReturnType<Discovery['kinds']> {
    const key = `${group}/${version}`;
    const answer = answers.get(key) ?? discovery.kinds(group, version, signal);
    answers.set(key, answer);
    return answer;
  }

  /** A server that has just started may not serve all its kinds yet: what has a definition is not gone. */
  async function missing({ kind = '', plural = guessedPlural(kind), group }: WantedKind): Promise<'gone' | 'unknown'> {
    if (watchNamespace !== undefined || group === '') return 'gone';
    const ref = { apiVersion: 'apiextensions.k8s.io/v1', kind: definitions.kind, name: `${plural}.${group}` };
    return (await objects.get(definitions, ref, signal)) ? 'unknown' : 'gone';
  }

  /** What is found of a kind, as it is watched. */
  function selectorOf(wanted: WantedKind, version: string, found: ServedKind): Presence {
    const { group, labels, namespace } = wanted;
    // Without a right in the whole cluster, nothing is seen of what has no namespace.
    if (!found.namespaced && (wanted.isTenants || watchNamespace !== undefined)) return 'gone';
    const place = namespace === undefined ? {} : { namespace };
    return { group, versions: [version], ...found, ...(labels && { labels }), ...place };
  }

  return async (wanted) => {
    const served = groups.get(wanted.group) ?? [];
    for (const version of wanted.versions.filter((one) => served.includes(one))) {
      const kinds = await kindsIn(wanted.group, version);
      if (!kinds) return 'unknown';
      const found = kinds.find(({ kind, plural }) =>
        wanted.kind === undefined ? plural === wanted.plural : kind === wanted.kind,
      );
      if (found) return selectorOf(wanted, version, found);
    }
    return missing(wanted);
  };
}
