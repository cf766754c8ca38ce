import { group } from '../api/group.ts';
import { pathOf } from './resource-path.ts';

const observations = { group, plural: 'observations' };

/** The path of the Observations of one namespace or of all, or of the one with this name. */
export function observationPath(namespace: string | undefined, name?: string): string {
  return pathOf(observations, 'v1', namespace, name);
}
