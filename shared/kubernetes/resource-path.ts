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

/** What selects a kind's objects in a list or a watch. A Role that names objects allows both by the name alone. */
export function selectorsOf({ labels = {}, labelSelector, name }: KindSelector): {
  readonly labelSelector: string | undefined;
  readonly fieldSelector: string | undefined;
} {
  const parts = [
    ...Object.entries(labels).map(([key, value]) => `${key}=${value}`),
    ...(labelSelector ? [labelSelector] : []),
  ];
  return {
    labelSelector: parts.join(',') || undefined,
    fieldSelector: name === undefined ? undefined : `metadata.name=${name}`,
  };
}

/** What a call does, in an operator's words: `listing pods`. */
export function callOf(verb: string, { plural, group }: KindSelector): string {
  return `${verb} ${plural}${group === '' ? '' : `.${group}`}`;
}
