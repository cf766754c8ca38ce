import type { KindSelector } from '../api/kind-selector.ts';

/** The path of a kind's objects, in one namespace or in all, or of the one with this name. */
export function pathOf(
  { group, plural }: Pick<KindSelector, 'group' | 'plural'>,
  version: string,
  namespace: string | undefined,
  name?: string,
): string {
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  const scope = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  return `${root}${scope}/${plural}${name === undefined ? '' : `/${encodeURIComponent(name)}`}`;
}

/** The label selector of a kind's objects, `undefined` for all. */
export function selectorOf({ labels = {}, labelSelector }: KindSelector): string | undefined {
  const parts = [
    ...Object.entries(labels).map(([key, value]) => `${key}=${value}`),
    ...(labelSelector ? [labelSelector] : []),
  ];
  return parts.join(',') || undefined;
}

/** What a call does, in an operator's words: `listing pods`. */
export function callOf(verb: string, { plural, group }: KindSelector): string {
  return `${verb} ${plural}${group === '' ? '' : `.${group}`}`;
}
