import { controlledKind, controls } from '../api/controllers.ts';
import type { KindSelector } from '../api/kind-selector.ts';
import type { ResourceRef } from '../finding/finding.ts';
import type { Controllers } from '../function/context.ts';
import type { Owners } from '../function/stores.ts';

export interface ControllersOptions {
  readonly owners: Owners;
  /** Milliseconds by a clock that nobody sets. */
  readonly elapsed: () => number;
  /** Runs a look-up within its time limit. Rejects if that is over. */
  readonly limited: <Result>(work: (signal: AbortSignal) => Promise<Result>) => Promise<Result>;
}

/** Milliseconds. What is not known is asked again sooner: the object, or the right to read it, may come. */
const knownMilliseconds = 300_000;
const unknownMilliseconds = 60_000;
/** After a look-up without an answer there are no others for so long, so that one event at most waits for it. */
const restMilliseconds = 30_000;
const maxEntries = 2000;

/** Names that the API server allows. Any other is not asked for: it might be read as another path. */
const namespacePattern = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
const namePattern = /^[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?$/;

/** A resource of a kind that may have a controller. */
interface Asked {
  readonly kind: KindSelector;
  readonly namespace: string;
  readonly name: string;
}

/** `undefined`: it can't be told. */
type Answer = ResourceRef | 'itself' | undefined;

interface Entry {
  readonly answer: Promise<Answer>;
  /** By `elapsed`. */
  expiresAt: number;
}

/** Looks up controllers by the ownerReferences of what they control, and remembers them for some minutes. */
export function createControllers({ owners, elapsed, limited }: ControllersOptions): Controllers {
  const entries = new Map<string, Entry>();
  let restsUntil = Number.NEGATIVE_INFINITY;

  async function follow({ kind, namespace, name }: Asked, signal: AbortSignal): Promise<Answer> {
    const found = await owners.controllerOf(kind, namespace, name, signal);
    if (!found) return undefined;
    const { controller } = found;
    if (!controller || !controls(controller, kind)) return 'itself';
    return of({ apiVersion: controller.apiVersion, kind: controller.kind, namespace, name: controller.name });
  }

  async function lookUp(asked: Asked, entry: { expiresAt: number }): Promise<Answer> {
    try {
      const answer = await limited((signal) => follow(asked, signal));
      entry.expiresAt = elapsed() + (answer ? knownMilliseconds : unknownMilliseconds);
      return answer;
    } catch {
      restsUntil = elapsed() + restMilliseconds;
      entry.expiresAt = restsUntil;
      return undefined;
    }
  }

  function entryOf(asked: Asked): Entry | undefined {
    const { kind, namespace, name } = asked;
    const key = `${kind.plural}/${namespace}/${name}`;
    const known = entries.get(key);
    if (known && elapsed() < known.expiresAt) return known;
    entries.delete(key);
    if (elapsed() < restsUntil) return undefined;
    // Whoever asks meanwhile waits for the same answer.
    const pending = { expiresAt: Number.POSITIVE_INFINITY };
    const entry = Object.assign(pending, { answer: lookUp(asked, pending) });
    entries.set(key, entry);
    for (const oldest of entries.keys()) {
      if (entries.size <= maxEntries) break;
      entries.delete(oldest);
    }
    return entry;
  }

  async function of(resource: ResourceRef): Promise<ResourceRef | undefined> {
    const { apiVersion, kind: kindName, namespace, name } = resource;
    const kind = controlledKind(kindName, apiVersion);
    if (!kind) return resource;
    if (namespace === undefined || name === undefined) return undefined;
    if (!namespacePattern.test(namespace) || !namePattern.test(name)) return undefined;
    const answer = await entryOf({ kind, namespace, name })?.answer;
    return answer === 'itself' ? resource : answer;
  }

  return { of };
}
